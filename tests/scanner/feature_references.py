"""Small references for tests."""

import numpy as np

from scanner.networks.card import FeatureReferenceCard
from scanner.networks.card_file import read_card, write_card
from scanner.networks.feature_reference import (
    N_AXES,
    QUANTITIES,
    REFERENCE_FILE,
    FeatureReference,
    Histogram,
    counts_between,
    with_reference,
)

ABOUT = FeatureReferenceCard(
    file=REFERENCE_FILE, sha256="0" * 64, ensemble_sha256="0" * 64, n_objects=100, n_natural=50, description="drawn"
)


def drawn_reference(n_features, seed=0, n_objects=100):
    """Return a reference of random numbers, whose histograms are those of standard normal values."""
    rng = np.random.default_rng(seed)
    objects = np.round(rng.normal(0, 64, (n_objects, N_AXES))).astype(np.int16)
    edges = np.array([-1.0, 0.0, 1.0])
    histograms = dict.fromkeys(QUANTITIES, Histogram(edges, counts_between(edges, rng.normal(size=1000))))
    projection, scaling = (rng.normal(size=(n, N_AXES)).astype(np.float32) / 4 for n in (n_features, N_AXES))
    return FeatureReference(projection, rng.normal(size=N_AXES).astype(np.float32), scaling, objects, 5.5, histograms)


def give_reference(folder, reference):
    """Write a reference into a package, and return its new card."""
    card = with_reference(folder, read_card(folder), reference, ABOUT)
    write_card(folder, card)
    return card
