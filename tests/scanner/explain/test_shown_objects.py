"""Test the priors and warnings of objects that a figure explains."""

from dataclasses import replace

import numpy as np
import pytest

from scanner.explain.shown_objects import how_combined, shown_objects
from scanner.networks.card_file import read_card
from scanner.networks.ensemble import EnsembleScores
from scanner.networks.locate import SHIPPED_DIR
from scanner.vocabulary.geometry import GEOMETRIES
from tests.scanner.cascades import candidate_stage, cascade_card, early_exit, lens_regression, second_opinion
from tests.scanner.shifted import stamps_of

CARD = read_card(SHIPPED_DIR / "mer3-sim")


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
        ["excluded by light, the first stage; a scan asks no other network"],
        ["excluded by A, the early exit; a scan asks no other network of the committee"],
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
    assert shown.corrections == ["", "corrected by K, which has no maps, from 0.100 by the committee"]
    assert [list(of) for of in shown.notes] == [[], []]
    assert shown_objects(["a", "b"], stamps, card, replace(scores, p_committee=None)).corrections == ["", ""]
    with_opinion = candidate_stage(lens=lens_regression(opinion_share=0.3), opinion=second_opinion())
    shown = shown_objects(["a", "b"], stamps, cascade_card(candidate_stage=with_opinion), scores)
    assert shown.corrections[1] == "corrected by K and 2 others, which have no maps, from 0.100 by the committee"


@pytest.mark.parametrize(
    ("card", "words"),
    [
        (CARD, "adds the networks' log odds with fitted weights"),
        (read_card(SHIPPED_DIR / "mer3-cascade"), "follows from the mean of the probabilities that the networks give"),
        (CARD.model_copy(update={"networks": CARD.networks[:1]}), "as if no other looked."),
        (read_card(SHIPPED_DIR / "mer3-cascade").candidate_stage_card, "not calibrated; p_lens is the mean."),
    ],
)
def test_one_line_says_how_several_numbers_become_one(card, words):
    assert words in how_combined(card)
