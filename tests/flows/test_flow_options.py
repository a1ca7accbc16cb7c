"""`simulate` and `train` do the same with `--flow` and without: each option reaches the same function."""

from contextlib import nullcontext
from pathlib import Path

import pytest

import flows.simulate
import flows.train
from flows.cli.models import simulate
from flows.cli.train import train
from flows.commands.simulate import SimulateResult
from flows.commands.train import TrainResult
from infra.store.storage import StorageError

SIMULATE = {
    "n": 7,
    "seed": 3,
    "preset": "wilde2022",
    "kinds": "single",
    "geometry": "mer",
    "components": True,
    "pairs": True,
    "min_einstein_radius_arcsec": 1.5,
    "psf": "psf.fits",
    "textures": "textures.parquet",
    "workers": 2,
}
TRAIN = {
    "preset": "paper",
    "epochs": 4,
    "learning_rate": 1e-3,
    "start_from": "mer3-sim",
    "networks": "OU-J",
    "teacher": "mer3-cascade",
    "with_grades": "catalogue",
    "workers": 3,
}


@pytest.fixture
def asked(monkeypatch):
    """Record the options that the functions behind commands and flows get; a flow runs without its server."""
    found = []

    def record(result):
        def act(*arguments, progress=None, **options):
            names = ("out_uri", "n", "seed", "preset", "kinds", "geometry", "psf", "textures", "workers")
            if isinstance(result, TrainResult):
                names = (
                    *("shards_uri", "out", "name", "preset", "epochs", "workers"),
                    *("start_from", "learning_rate", "networks", "teacher", "with_grades"),
                )
            found.append({**dict(zip(names, arguments, strict=False)), **options})
            return result

        return act

    simulated = SimulateResult(n_objects=7, n_rows=9, shards=["s"], contact_sheet="c")
    trained = TrainResult(ensemble="new", package=Path("out/new"), test_auroc=0.5)
    for module in ("flows.simulate", "flows.commands.simulate"):
        monkeypatch.setattr(f"{module}.simulate_shards", record(simulated))
    for module in ("flows.train", "flows.commands.train"):
        monkeypatch.setattr(f"{module}.train_package", record(trained))
    for flow in (flows.simulate, flows.train):
        monkeypatch.setattr(flow, "flow_progress", lambda *_: nullcontext())
        monkeypatch.setattr(flow, "retried", lambda _name, step: step())
    # The flow's own function: Prefect would start a server.
    monkeypatch.setattr(flows.simulate, "simulate", flows.simulate.simulate.fn)
    monkeypatch.setattr(flows.train, "train", flows.train.train.fn)
    return found


def test_simulate_passes_the_same_options(asked):
    for flow in (False, True):
        simulate(out="out", flow=flow, json=True, **SIMULATE)
    assert asked == [{"out_uri": "out", **SIMULATE}] * 2


def test_train_passes_the_same_options(asked):
    for flow in (False, True):
        train("shards", out=Path("out"), name="new", flow=flow, json=True, **TRAIN)
    assert asked == [{"shards_uri": "shards", "out": Path("out"), "name": "new", **TRAIN}] * 2


def test_a_deployed_training_refuses_a_folder_on_s3():
    given = {"shards_uri": "shards", "out": "s3://bucket/runs", "name": "new"}
    with pytest.raises(StorageError, match=r"s3://bucket/runs: is on S3, must be a local path"):
        flows.train.train.validate_parameters(given)
    assert flows.train.train.validate_parameters({**given, "out": "runs"})["out"] == Path("runs")
