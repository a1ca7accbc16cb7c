"""Retries with a real Prefect server: after errors of the infrastructure, and after no others."""

import json
import subprocess
import sys

import pytest

from tests.prefect_servers import prefect_server
from tests.sources import ROOT
from tests.training.shards import write_shards

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def env(tmp_path_factory, prefect_tables):
    """Return the environment of a program whose flows run on a Prefect server."""
    with prefect_server(tmp_path_factory.mktemp("prefect"), tables=prefect_tables) as server:
        yield {**server.env, "PYTHONPATH": str(ROOT), "PREFECT_LOGGING_LEVEL": "CRITICAL", "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory, env):
    """Return what the flows of `resumed_flows.py` did, by flow, in real runs with injected errors."""
    folder = tmp_path_factory.mktemp("resumed")
    places = [write_shards(folder / "shards", 60), write_shards(folder / "others", 24, seed=1, first_id=9000), str(folder)]
    command = [sys.executable, "-W", "ignore", "-m", "tests.flows.resumed_flows", *places]
    done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_simulation_keeps_its_shards_when_it_is_tried_again(outcomes):
    assert outcomes["simulate"] == ["shard", "StorageError", "ClusterError", "sheet", "done"]
    assert outcomes["simulate, error of code"] == ["ValueError", "failed: ValueError"]


def test_a_step_that_fails_each_time_ends_with_its_error(outcomes):
    assert outcomes["simulate, no store"] == [*3 * ["StorageError"], "failed: StorageError"]


def test_a_training_goes_on_after_its_last_epoch(outcomes):
    assert outcomes["train"] == ["epoch 1", "ConnectionResetError", "epoch 2", "epoch 3", "done"]
    assert outcomes["train, error of data"] == ["TrainingError", "failed: TrainingError"]


def test_an_evaluation_is_done_anew(outcomes):
    assert outcomes["evaluate"] == ["StorageError", "score", "done"]
    assert outcomes["evaluate, error of data"] == ["TrainingError", "failed: TrainingError"]
