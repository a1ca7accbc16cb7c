"""Tests of the command `evaluate` from its arguments to what it prints."""

import json

import pytest

from flows.cli.evaluate import evaluate
from flows.cli.main import app
from scanner.sources.shards import encode_shard
from simulation.products.dataset import DatasetSpec, simulate_shard
from tests.scanner.ensembles import SPECS, write_test_package
from training.errors import TrainingError

N_OBJECTS = 24
NONLENSES = (("nonlens", 1.0),)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Write two folders of shards, the second without lenses, and an ensemble."""
    folder = tmp_path_factory.mktemp("evaluated")
    for name, spec in (("data", DatasetSpec(n=N_OBJECTS, seed=4)), ("natural", DatasetSpec(n=8, seed=5, kinds=NONLENSES))):
        (folder / name).mkdir()
        (folder / name / "shard-00000.parquet").write_bytes(encode_shard(simulate_shard(spec, 0)))
    write_test_package(folder / "mine", SPECS[:1], assumed_prevalence=0.01)
    return folder


@pytest.fixture
def run(folder, monkeypatch, capsys):
    """Return a function that evaluates with some options, and returns what is printed."""
    monkeypatch.setattr("training.evaluation.metrics.N_BOOTSTRAP", 10)
    monkeypatch.chdir(folder)

    def run(*options):
        app(["evaluate", "data", *options], result_action="return_value", exit_on_error=False)
        return capsys.readouterr().out

    return run


def test_figures_are_printed_and_written_beside_plots(run, folder, monkeypatch):
    """The ensemble is the configured one."""
    monkeypatch.setenv("LENSSCAN_ENSEMBLE", "mine")
    shown, written = json.loads(run("--out", "figures", "--json")), json.loads((folder / "figures/evaluation.json").read_text())
    assert sum(shown["n_objects"].values()) == N_OBJECTS
    assert {name: written[name] for name in shown} == shown
    assert written["thresholds_from"] == "data"
    assert written["ensemble"] in (folder / "figures" / "EVALUATION.md").read_text()
    plots = {"roc.png", "reliability.png", "reliability_log.png", "completeness.png"}
    assert {path.name for path in (folder / "figures").glob("*.png")} == plots


def test_natural_shards_set_the_thresholds(run, folder, monkeypatch):
    monkeypatch.setattr("flows.commands.evaluate.draw_scored", lambda *_: None)
    monkeypatch.setattr("training.evaluation.evaluate._MIN_GROUP", 4)
    found = []
    for options in ((), ("--natural", "natural")):
        said = run("--ensemble", "mine", "--out", "out", *options)
        found.append(json.loads((folder / "out" / "evaluation.json").read_text()))
        shown = {line.split()[0]: line.split()[1] for line in said.splitlines() if len(line.split()) > 2}
        assert float(shown["auroc"]) == pytest.approx(found[-1]["overall"]["auroc"]["value"], abs=5e-4)
    assert [written["thresholds_from"] for written in found] == ["data", "natural"]
    assert [group["n"] for group in found[0]["groups"]] == [group["n"] for group in found[1]["groups"]]
    assert found[0]["groups"] != found[1]["groups"]


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
