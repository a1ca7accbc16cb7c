"""The tables of purity in the README and the documentation hold the numbers of the shipped evaluation."""

import json

import pytest

from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from tests.docs.pages import ROOT

EVALUATION = json.loads((SHIPPED_DIR / "mer3-cascade" / "evaluation.json").read_text())
CUTS = {cut["p_lens"]: cut for cut in EVALUATION["cuts"]}
DEFAULT = read_card(SHIPPED_DIR / "mer3-cascade").candidate_threshold


def purity_and_number(cut):
    """Return the purity, or the expected one if no false positive was counted, and the candidates that go with it."""
    purity = cut["purity"]["value"] if cut["n_false_positives"] else cut["expected_purity"]
    return purity, 1e6 * EVALUATION["prevalence"] * cut["recall"]["value"] / purity


def two(number):
    """Return a number with two digits and separated thousands."""
    whole = float(f"{number:.2g}")
    return f"{whole:,.0f}".replace(",", " ") if whole >= 10_000 else f"{whole:g}"


@pytest.mark.parametrize("p_lens", [DEFAULT, 0.01, 0.1, 0.3])
def test_the_readme_shows_purity_and_number_of_cuts(p_lens):
    cut = CUTS[p_lens]
    purity, n = purity_and_number(cut)
    low, high = (two(100 * cut["purity"][end]) for end in ("low", "high"))
    cells = f"| {two(100 * purity)} % ({low}\u2013{high} %) | {two(100 * cut['recall']['value'])} % | {two(n)} |"
    name = f"{p_lens:.2g}, the default" if p_lens == DEFAULT else f"{p_lens:g}"
    assert f"| {name} {cells}\n" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("p_lens", [DEFAULT, 0.003, 0.01, 0.03, 0.1, 0.3, 0.9])
def test_the_page_on_trust_shows_purity_and_number(p_lens):
    cut = CUTS[p_lens]
    purity, n = purity_and_number(cut)
    shown = f"{n:,.0f}".replace(",", " ") if n >= 10_000 else f"{n:.0f}"
    interval = f"({cut['purity']['low']:.3f}\u2013{cut['purity']['high']:.3f})"
    row = f"| {p_lens:.2g} | {cut['n_false_positives']} | {cut['recall']['value']:.3f} | {purity:.3f} {interval} | {shown} |\n"
    page = (ROOT / "docs" / "trust.md").read_text()
    assert row in page
    assert f"no look-alike among {EVALUATION['n_objects']['nonlens']:,} passes".replace(",", " ") in page


def test_the_advice_on_cuts_has_the_same_numbers():
    page = (ROOT / "docs" / "concepts.md").read_text()
    recall = {p_lens: f"{100 * cut['recall']['value']:.0f}" for p_lens, cut in CUTS.items()}
    one_in = f"one candidate in {1 / CUTS[DEFAULT]['purity']['value']:.0f} is"
    assert f"| {DEFAULT:.2g} | it finds {recall[DEFAULT]} % of the lenses; {one_in}" in page
    assert f"| 0.01 | it finds {recall[0.01]} %; one candidate in {1 / CUTS[0.01]['purity']['value']:.0f} is a lens |" in page
    numbers = [two(purity_and_number(CUTS[p_lens])[1]) for p_lens in (0.03, 0.1)]
    assert f"it finds {recall[0.03]} to {recall[0.1]} %, among {numbers[0]} to {numbers[1]} candidates" in page
    low, high = (100 * CUTS[0.3]["purity"][end] for end in ("low", "high"))
    assert f"between {low:.0f} and {high:.0f} % of the candidates" in page
