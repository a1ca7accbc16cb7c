"""Expected lists above cuts are those of the ensemble's purity table."""

import pytest

from scanner.catalogue.shown import ShownPlan
from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from scanner.review.report.cuts import common_purity, cuts_of, percent_interval
from tests.scanner.catalogue_parts import purity_table


def test_lines_are_those_of_the_card():
    """README.md says of a million objects: 0.001, 1.2 % (1.1-1.4 %), 35 000; 0.1, 46 % (19-76 %), 370."""
    purity = read_card(SHIPPED_DIR / "mer3-sim").purity_table
    counts = {cut.p_lens: i for i, cut in enumerate(purity.cuts)}
    found = cuts_of(purity, counts, 1_000_000)
    lines = {line.p_lens: line for line in found.lines}
    assert found.prevalence == "2000"
    assert (lines[0.001].purity, lines[0.001].n_expected.split(" (")[0]) == ("1.2 % (1.1\u20131.4 %)", "35 000")
    assert (lines[0.1].purity, lines[0.1].n_expected.split(" (")[0]) == ("46 % (19\u201376 %)", "370")
    assert lines[0.001].n_lenses.split(" (")[0] == "430"
    assert [line.n_found for line in found.lines] == list(range(len(purity.cuts)))
    assert cuts_of(purity, counts, 1000).lines[0].n_expected.split(" (")[0] == "35"


def test_plans_of_one_table_have_it_in_common():
    one, other = purity_table(0.5), purity_table(0.25)
    assert common_purity([ShownPlan("a", 0.5, purity=one), ShownPlan("b", 0.5, purity=one)]) == one
    assert common_purity([ShownPlan("a", 0.5, purity=one), ShownPlan("b", 0.5, purity=other)]) is None
    assert common_purity([ShownPlan("a", 0.5)]) is None
    assert common_purity([]) is None


@pytest.mark.parametrize(
    ("limits", "text"), [((0.1, 0.3), "20 % (10\u201330 %)"), ((None, 0.3), "20 %"), ((0.1, None), "20 %")]
)
def test_limits_are_said_if_both_are_known(limits, text):
    assert percent_interval(0.2, *limits) == text
