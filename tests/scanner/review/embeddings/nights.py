"""Nights with embeddings, and the ensemble whose reference they are measured against."""

import numpy as np

from tests.scanner.catalogue_parts import NIGHT, EnsembleName, finished
from tests.scanner.ensembles import SPECS, write_test_package
from tests.scanner.feature_references import drawn_reference, give_reference

N = 300
LATER = "2026-11-25"


def embedded_nights(folder):
    """Write `folder/ensembles` with an ensemble, and `folder/catalogue` with two nights, the second of other objects.

    The log-odds and the axes of the first night are standard normal, as in the histograms of the reference.
    """
    write_test_package(folder / "ensembles" / "test", SPECS[:1])
    card = give_reference(folder / "ensembles" / "test", drawn_reference(5))
    for night, shift in ((NIGHT, 0.0), (LATER, 1.5)):
        rng = np.random.default_rng(3)
        p_lens = dict(enumerate((1 / (1 + np.exp(-rng.normal(size=N) - shift))).tolist()))
        embeddings = dict(enumerate((rng.normal(size=(N, 32)) + shift).astype(np.float32).tolist()))
        tiles = {"a": {i: p for i, p in p_lens.items() if i % 3}, "b": {i: p for i, p in p_lens.items() if not i % 3}}
        config = {"ensemble": EnsembleName("test", card.sha256), "reference_sha256": card.reference_sha256}
        finished(str(folder / "catalogue"), tiles, night=night, embeddings=embeddings, **config)
    return folder
