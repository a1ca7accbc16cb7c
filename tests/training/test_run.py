"""A small training runs in this process; several workers, much data or a named cluster need Ray."""

from contextlib import nullcontext

import pytest

import training.run
from scanner.networks.package import load_package
from tests.no_ray import RayStartedError
from tests.training.shards import write_shards
from tests.training.tiny_build import BUILD_CONFIG, OU_H
from training.build import work_folder
from training.errors import TrainingError
from training.run import train_ensemble

CONFIG = BUILD_CONFIG.model_copy(update={"epochs": 1, "networks": (OU_H,)})


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return write_shards(tmp_path_factory.mktemp("shards"), 24)


def test_a_small_training_needs_no_ray(shards, tmp_path, no_ray):
    progress = []
    card = train_ensemble(CONFIG, shards, tmp_path, "here", lambda *step: progress.append(step))
    assert no_ray == []
    assert progress == [(1, 1)]
    assert load_package(tmp_path / "here").card == card


@pytest.mark.parametrize(
    ("most", "workers", "address"), [(23, 1, None), (24, 2, None), (24, 1, "local"), (24, 1, "10.0.0.1:6379")]
)
def test_ray_starts_once_the_data_are_prepared(shards, tmp_path, no_ray, monkeypatch, most, workers, address):
    monkeypatch.setattr(training.run, "MOST_OBJECTS_HERE", most)
    with pytest.raises(RayStartedError):
        train_ensemble(CONFIG.model_copy(update={"num_workers": workers}), shards, tmp_path, "rayed", ray_address=address)
    assert no_ray == [address]
    assert (work_folder(tmp_path, "rayed") / "data" / "dataset.json").exists()


@pytest.mark.parametrize("address", [None, "local"])
def test_more_workers_than_cores_of_this_machine_are_refused(shards, tmp_path, monkeypatch, address):
    """Ray would wait for the cores for ever."""
    monkeypatch.setattr("infra.ray.cluster.ray_session", lambda *_: nullcontext())
    monkeypatch.setattr("ray.cluster_resources", lambda: {"CPU": 2.0})
    config = CONFIG.model_copy(update={"num_workers": 3})
    with pytest.raises(TrainingError, match=r"^3 workers of 1 CPU each need 3 CPUs, got 2 on this machine"):
        train_ensemble(config, shards, tmp_path, "rayed", ray_address=address)
