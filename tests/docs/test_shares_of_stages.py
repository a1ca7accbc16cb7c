"""The page on trust gives the shares of objects that the stages of the shipped cascade look at as they were measured."""

import json

import pytest

from scanner.networks.architectures import ARCHITECTURES
from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from tests.docs.pages import ROOT
from tests.scanner.networks.flops import mflop

MEASURED = json.loads((ROOT / "tests" / "benchmarks" / "results.json").read_text())
SHARE = MEASURED["night_share_of_candidate_network"]


def test_the_page_on_trust_gives_the_last_share():
    assert f"`p_lens` of at least 0.0001, one in {1 / SHARE:.0f}:" in (ROOT / "docs" / "trust.md").read_text()


def test_the_shares_give_the_measured_work():
    card = read_card(SHIPPED_DIR / "mer3-cascade")
    shares = dict.fromkeys((of.name for of in card.all_networks), MEASURED["night_share_beyond_early_exit"])
    shares |= {
        card.first.network.name: 1,
        card.early_exit.network: MEASURED["night_share_beyond_first_stage"],
        **dict.fromkeys((of.name for of in card.candidate_stage.networks), SHARE),
    }
    work = [
        shares[of.name] * of.turns * mflop(ARCHITECTURES[of.architecture].build(len(of.channels)), len(of.channels))
        for of in card.all_networks
    ]
    assert sum(work) == pytest.approx(MEASURED["night_mflop_per_cutout"], rel=1e-9)
