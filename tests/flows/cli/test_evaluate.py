"""Tests of the command `evaluate` from its arguments to what it prints."""

import json

import pytest

from flows.cli.evaluate import evaluate
from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.prevalence import with_prevalence
from scanner.sources.shards import encode_shard
from simulation.products.dataset import DatasetSpec, simulate_shard
from training.errors import TrainingError


@pytest.fixture
def shards(tmp_path, monkeypatch):
    """Two folders of shards, the second without lenses, and an ensemble to write beside."""
    monkeypatch.setattr("training.evaluation.metrics.N_BOOTSTRAP", 10)
    for name, spec in (("data", DatasetSpec(n=40, seed=4)), ("natural", DatasetSpec(n=20, seed=5, kinds=(("nonlens", 1.0),)))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "shard-00000.parquet").write_bytes(encode_shard(simulate_shard(spec, 0)))
    with_prevalence(SHIPPED_DIR / "ou7-sim", tmp_path / "mine", "mine", 0.01, None)
    return tmp_path


def test_figures_are_printed_with_their_intervals(shards, capsys):
    evaluate(str(shards / "data"), ensemble=str(shards / "mine"), json=True)
    figures = json.loads(capsys.readouterr().out)["overall"]
    evaluate(str(shards / "data"), ensemble=str(shards / "mine"))
    shown = {line.split()[0]: line.split()[1] for line in capsys.readouterr().out.splitlines() if len(line.split()) > 2}
    assert float(shown["auroc"]) == pytest.approx(figures["auroc"]["value"], abs=5e-4)


def test_natural_shards_set_the_thresholds(shards, capsys):
    found = []
    for natural in (None, str(shards / "natural")):
        evaluate(str(shards / "data"), natural=natural, ensemble=str(shards / "mine"), out=str(shards / "out"), json=True)
        found.append(json.loads(capsys.readouterr().out)["groups"])
        written = json.loads((shards / "out" / "evaluation.json").read_text())
        assert written["thresholds_from"] == (natural or str(shards / "data"))
    assert [group["n"] for group in found[0]] == [group["n"] for group in found[1]]


@pytest.mark.parametrize("given", [{}, {"shards": "data", "counterfactuals": 2}, {"shards": "data", "probes": 2}])
def test_either_shards_or_a_number_of_objects_is_needed(given):
    with pytest.raises(TrainingError, match="either shards, or --counterfactuals N or --probes N"):
        evaluate(**given)


def test_shards_have_no_limits_to_be_strict_about():
    with pytest.raises(TrainingError, match="--strict needs --counterfactuals N or --probes N"):
        evaluate("data", strict=True)


class Result:
    """A result of a gate with one exceeded limit."""

    def __init__(self, *failures):
        self.failures, self.effects, self.n_lenses = failures, (), 1

    def model_dump(self, mode):
        return {"mode": mode}


def test_both_gates_count_together(monkeypatch, capsys):
    monkeypatch.setattr("flows.commands.counterfactuals.judge_counterfactuals", lambda *_: (Result("a: falls"), "x"))
    monkeypatch.setattr("flows.commands.probes.probe_ensemble", lambda *_: (Result("b: rises"), "x"))
    with pytest.raises(SystemExit, match="1"):
        evaluate(counterfactuals=1, probes=1, strict=True, json=True)
    printed = json.loads(capsys.readouterr().out)
    assert {name: found["failures"] for name, found in printed.items()} == {
        "counterfactuals": ["a: falls"],
        "probes": ["b: rises"],
    }
