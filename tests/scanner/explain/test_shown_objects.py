"""Test the priors and warnings of objects that a figure explains."""

from dataclasses import replace

import numpy as np
import pytest

from scanner.explain.explanation import NetworkMaps
from scanner.explain.shown_objects import at_one_prior, shown_objects
from scanner.networks.card_file import read_card
from scanner.networks.ensemble import EnsembleScores
from scanner.networks.locate import SHIPPED_DIR
from scanner.vocabulary.geometry import GEOMETRIES
from tests.scanner.cascades import candidate_stage, cascade_card, early_exit, lens_regression
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
    told = shown_objects(["a", "b"], stamps, CARD, scores, [("filled: J",), ("padded: VIS",)])
    assert told.notes == [["filled: J"], ["padded: VIS", *shown.notes[1]]]


def test_an_excluded_object_says_which_network_excluded_it():
    card = cascade_card(early_exit=early_exit(0.02))
    geometry, p = GEOMETRIES[card.geometry], np.array([0.001, 0.01, 0.3], np.float32)
    stamps = {band: np.zeros((3, grid.n_pixels, grid.n_pixels), np.float32) for band, grid in geometry.grids.items()}
    p_exit = np.array([np.nan, 0.01, 0.2], np.float32)
    scores = EnsembleScores({}, p * 0, p, None, ["nonlens"] * 3, stage=np.array([1, 1, 2], np.int8), p_exit=p_exit)
    notes = shown_objects(["a", "b", "c"], stamps, card, scores).notes
    assert [list(of) for of in notes] == [
        ["excluded by the first stage, whose p_lens this is; the committee would not be asked"],
        ["excluded by A alone, whose p_lens this is; the other networks would not be asked"],
        [],
    ]
    plain = shown_objects(["a", "b", "c"], stamps, cascade_card(), replace(scores, p_exit=None)).notes
    assert plain[1] == notes[0]


def test_a_corrected_object_says_what_the_committee_gives():
    card = cascade_card(candidate_stage=candidate_stage(lens=lens_regression()))
    geometry, p = GEOMETRIES[card.geometry], np.array([0.001, 0.6], np.float32)
    stamps = {band: np.zeros((2, grid.n_pixels, grid.n_pixels), np.float32) for band, grid in geometry.grids.items()}
    committee = np.array([0.001, 0.1], np.float32)
    scores = EnsembleScores({}, p * 0, p, None, ["nonlens"] * 2, stage=np.array([2, 2], np.int8), p_committee=committee)
    shown = shown_objects(["a", "b"], stamps, card, scores)
    assert shown.corrections == ["", "corrected by K, which has no maps; 0.100 by the networks with maps"]
    assert [list(of) for of in shown.notes] == [[], []]
    assert shown_objects(["a", "b"], stamps, card, replace(scores, p_committee=None)).corrections == ["", ""]
