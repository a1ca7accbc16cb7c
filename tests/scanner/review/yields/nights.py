"""A night of known lenses, scored by an ensemble with a sample of non-lenses, for the tests of yields and of `--fdr`."""

from dataclasses import dataclass

import numpy as np

from scanner.networks.card_file import read_card, write_card
from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.nonlens_sample import NonLensTail, with_sample
from scanner.sources.survey import EUCLID_MER
from tests.scanner.catalogue_parts import NIGHT, EnsembleName, finished
from tests.scanner.ensembles import SPECS, write_test_package

THRESHOLD = 0.001
PURITY = read_card(SHIPPED_DIR / "mer3-cascade").purity_table
"""A real evaluation, for one lens in 2000 objects."""
N_ROWS, N_LENSES = 3000, 40
"""Scored rows of the night; the first are the lenses."""


@dataclass(frozen=True)
class KnownNight:
    """A catalogue of one night, and what it was made of."""

    root: str
    ensembles: str
    """Folder with the package of the ensemble, `test`."""
    p_lens: np.ndarray
    """`[row]`: the scores; ids are their numbers."""
    calibration: np.ndarray


def known_night(folder, *, n_calibration=20_000, night=NIGHT, name="test", survey=EUCLID_MER):
    """Write a night of two tiles into `folder/catalogue`: 40 lenses, 2960 other objects, and two rejected rows.

    Other objects score like the calibration sample, lenses higher.
    """
    rng = np.random.default_rng(20261128)
    others = rng.normal(-9, 1.2, N_ROWS - N_LENSES + n_calibration)
    scores = np.float32(1 / (1 + np.exp(-np.concatenate([rng.normal(-1, 3, N_LENSES), others]))))
    p_lens, calibration = scores[:N_ROWS], scores[N_ROWS:]
    card = write_test_package(folder / "ensembles" / "test", SPECS[:1])
    write_card(
        folder / "ensembles" / "test",
        with_sample(folder / "ensembles" / "test", card, NonLensTail.of(calibration, THRESHOLD), "drawn"),
    )
    rows = dict(enumerate(p_lens.tolist()))
    tiles = {"a": {i: p for i, p in rows.items() if i % 2} | {9001: None}, "b": {i: p for i, p in rows.items() if not i % 2}}
    tiles["b"][9002] = None
    ensemble = EnsembleName(name, card.sha256)
    options = {"night": night, "ensemble": ensemble, "purity": PURITY, "survey": survey, "candidate_threshold": THRESHOLD}
    finished(str(folder / "catalogue"), tiles, **options)
    return KnownNight(str(folder / "catalogue"), str(folder / "ensembles"), p_lens, calibration)
