"""Tests that the page's sentences say what the code does."""

import pytest

from training.evaluation.compound_selection import WIDTHS
from training.reproduction import reasons


def test_the_cells_are_those_of_the_matching():
    widths = {name: width.width for name, width in WIDTHS.items()}
    assert f"cells of {widths['einstein_radius1_arcsec']:.0%}".replace("%", " %") in reasons.SELECTION
    assert f"cells of {widths['arc_snr']:.0%}".replace("%", " %") in reasons.SELECTION
    assert f"cells of {widths['lens_mag_vis']:g} mag" in " ".join(reasons.SELECTION.split())


def test_every_table_of_the_paper_has_its_reason():
    assert sorted(reasons.WHY) == [3, 4, 5, 6, 7]


@pytest.mark.parametrize(
    ("known", "of_one_image", "words"),
    [
        ((), (), "No images of known lenses were given"),
        (("a", "b"), ("a", "b"), "of each lens, one image stands in for all four bands"),
        (("a", "b"), ("b",), "of b, one image stands in for all four bands"),
    ],
)
def test_known_lenses_of_one_image_are_named(known, of_one_image, words):
    assert words in reasons.why(7, "mine", known, of_one_image, counts_compound=True)


def test_lenses_of_four_images_are_not_called_colourless():
    text = reasons.why(7, "mine", ("a",), (), counts_compound=True)
    assert "one image stands in" not in text
    assert "no colour" not in text


@pytest.mark.parametrize(
    ("counts_compound", "words"),
    [(True, "`mine` was trained with them"), (False, "the card of `mine` counts none"), (None, "does not count the objects")],
)
def test_reasons_are_about_the_ensemble_of_the_column(counts_compound, words):
    assert words in reasons.why(6, "mine", (), (), counts_compound=counts_compound)
    for table in (5, 6):
        text = reasons.why(table, "mine", (), (), counts_compound=counts_compound)
        assert "`mine`" in text
        assert "ou7-sim" not in text


def test_ensembles_read_the_part_of_their_geometry():
    text = reasons.data({"mine": "challenge", "yours": "mer10", "hers": "mer"})
    assert "it was trained: mine, hers the whole 20″; yours the middle 10″." in text
