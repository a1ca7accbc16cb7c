"""Tests that the page's sentences say what the code does."""

from training.evaluation.compound_selection import WIDTHS
from training.reproduction import reasons


def test_the_cells_are_those_of_the_matching():
    widths = {name: width.width for name, width in WIDTHS.items()}
    assert f"cells of {widths['einstein_radius1_arcsec']:.0%}".replace("%", " %") in reasons.SELECTION
    assert f"cells of {widths['arc_snr']:.0%}".replace("%", " %") in reasons.SELECTION
    assert f"cells of {widths['lens_mag_vis']:g} mag" in " ".join(reasons.SELECTION.split())


def test_every_table_of_the_paper_has_its_reason():
    assert sorted(reasons.WHY) == [3, 4, 5, 6, 7]
