"""Retries with a real Prefect server: after errors of the infrastructure, and after no others."""

import json

import pytest

from tests.training.shards import write_shards

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory, lensscan):
    """Return what the flows of `resumed_flows.py` did, by flow, in real runs with injected errors."""
    folder = tmp_path_factory.mktemp("resumed")
    places = [write_shards(folder / "shards", 60), write_shards(folder / "others", 24, seed=1, first_id=9000), str(folder)]
    done = lensscan(*places, module="tests.flows.resumed_flows", cwd=folder)
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
