"""`lensscan evaluate --counterfactuals` from the command line to the card."""

import json
import shutil

import pytest

from flows.cli.evaluate import evaluate
from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from simulation.products.counterfactuals import CHANGES


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """Return the folder of an ensemble of one's own after the command, its exit code and what it printed."""
    folder = tmp_path_factory.mktemp("own") / "own"
    shutil.copytree(SHIPPED_DIR / "mer3-sim", folder)
    return folder


def test_card_and_table_hold_the_effect_of_each_change(judged, capsys):
    before = read_card(judged)
    evaluate(counterfactuals=2, ensemble=str(judged), json=True)
    printed = json.loads(capsys.readouterr().out)
    assert printed["n_lenses"] == 2
    assert [effect["change"] for effect in printed["effects"]] == list(CHANGES)
    card = read_card(judged)
    assert card.sha256 == before.sha256
    found = {effect["change"]: effect["median_change"]["value"] for effect in printed["effects"]}
    assert card.metrics["counterfactual_no_arcs"] == found["no arcs"] < 0
    assert found["unchanged"] == 0
    text = (judged / "COUNTERFACTUALS.md").read_text()
    assert f"| no arcs | {found['no arcs']:+.2f}" in text


def test_a_shipped_ensemble_is_not_changed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    before = (SHIPPED_DIR / "mer3-sim" / "card.json").read_bytes()
    # The ensemble exceeds limits, as its training set makes it do.
    with pytest.raises(SystemExit, match="1"):
        evaluate(counterfactuals=1, ensemble="mer3-sim", strict=True)
    printed = capsys.readouterr().out
    assert "One thing changed, lenses: 1" in printed
    assert "the median log-odds must fall by at most" in printed
    assert (tmp_path / "evaluation-mer3-sim" / "COUNTERFACTUALS.md").exists()
    assert (SHIPPED_DIR / "mer3-sim" / "card.json").read_bytes() == before
