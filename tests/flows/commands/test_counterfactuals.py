"""`lensscan evaluate --counterfactuals` from the command line to the card."""

import json
import shutil

import pytest

from flows.cli.evaluate import evaluate
from flows.commands import counterfactuals
from flows.commands.counterfactuals import judge_counterfactuals
from infra.progress import no_progress
from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from simulation.products.counterfactuals import CHANGES
from tests.scanner.ensembles import add_metric
from training.errors import TrainingError
from training.evaluation import counterfactual_gate


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
    written = json.loads((judged / "counterfactuals.json").read_text())
    assert (written["ensemble"], written["sha256"]) == (card.name, card.sha256)
    assert written["effects"] == printed["effects"]


def test_metrics_written_meanwhile_stay(judged, monkeypatch):
    def judge(*given):
        add_metric(judged)
        return counterfactual_gate.judge(*given)

    monkeypatch.setattr(counterfactuals, "judge", judge)
    judge_counterfactuals(1, str(judged), None, no_progress)
    metrics = read_card(judged).metrics
    assert (metrics["of_another_command"], "counterfactual_no_arcs" in metrics) == (0.5, True)


def test_a_folder_on_s3_is_refused_before_the_work(judged, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(counterfactuals, "load_scorer", None)
    with pytest.raises(TrainingError, match="s3://bucket/results: is on S3"):
        judge_counterfactuals(1, str(judged), "s3://bucket/results", no_progress)
    assert list(tmp_path.iterdir()) == []


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


def test_few_lenses_are_in_memory_together(judged, tmp_path, monkeypatch):
    """The results are those of all lenses at once."""
    sizes, gates = [], []
    stack = counterfactuals.stack
    monkeypatch.setattr(counterfactuals, "stack", lambda images, geometry: sizes.append(len(images)) or stack(images, geometry))
    for at_once in (2, 3):
        monkeypatch.setattr(counterfactuals, "_AT_ONCE", at_once)
        gates.append(judge_counterfactuals(3, str(judged), str(tmp_path / str(at_once)), no_progress)[0])
    assert gates[0] == gates[1]
    assert [size / len(CHANGES) for size in sizes] == [2, 1, 3]
