"""Test the priors and warnings of objects that a figure explains."""

import numpy as np
import pytest

from scanner.explain.explanation import NetworkMaps
from scanner.explain.shown_objects import at_one_prior, shown_objects
from scanner.networks.card_file import read_card
from scanner.networks.ensemble import EnsembleScores
from scanner.networks.locate import SHIPPED_DIR
from scanner.vocabulary.geometry import GEOMETRIES
from tests.scanner.shifted import stamps_of

CARD = read_card(SHIPPED_DIR / "mer3-sim")


def test_networks_are_shown_at_the_prior_of_the_ensemble():
    """By hand: the odds are multiplied by the ratio of the prior odds (Saerens et al. 2002, equation 4)."""
    p = np.array([0.2, 0.9], np.float32)
    square = np.zeros((2, 4, 4), np.float32)
    maps = NetworkMaps("compact-sky", 10.0, p, square, 10.0, square, square)
    (found,) = at_one_prior([maps], CARD)
    fitted, assumed = CARD.combiner.fitted_prevalence, CARD.assumed_prevalence
    odds = p / (1 - p) * (assumed / (1 - assumed)) / (fitted / (1 - fitted))
    assert found.p_lens == pytest.approx(odds / (1 + odds), rel=1e-5)
    assert found.network == "compact-sky"


def test_a_shifted_band_is_a_note_of_its_object_alone():
    rng = np.random.default_rng(5)
    geometry = GEOMETRIES[CARD.geometry]
    aligned, shifted = stamps_of(geometry, rng), stamps_of(geometry, rng, shift_arcsec=(0.8, 0.0), band="H")
    stamps = {band: np.concatenate([aligned[band], shifted[band]]) for band in aligned}
    scores = EnsembleScores({}, np.zeros(2, np.float32), np.array([0.1, 0.2], np.float32), None, ["single", "nonlens"])
    shown = shown_objects(["a", "b"], stamps, CARD, scores)
    assert shown.prior == "if one object in 2000 is a lens"
    assert shown.geometry == geometry
    assert (list(shown.notes[0]), len(shown.notes[1])) == ([], 1)
    assert shown.notes[1][0].startswith("misregistered: H 0.8")
