"""Tests of Ray Train: it runs the same fits and restarts killed workers."""

import os
import signal
import subprocess
import sys

import pytest
from ray.exceptions import ActorDiedError, RayTaskError
from ray.train import WorkerGroupError

from infra.errors import ClusterError
from infra.ray.cluster import ray_session
from scanner.networks.architectures import PAPER_NETWORKS
from scanner.networks.package import load_package
from tests.faults.harness.ray_heads import ray_head
from tests.sources import ROOT
from tests.training.workers import train_workers
from training.build import work_folder
from training.checkpoint import load_history
from training.config import TrainConfig
from training.errors import TrainingError
from training.run import train_ensemble
from training.trainer import _is_of_the_cluster

pytestmark = pytest.mark.ray
OU_H = PAPER_NETWORKS[2]
CONFIG = TrainConfig(
    epochs=2, batch_size=8, networks=(OU_H,), validation_fraction=0.35, test_fraction=0.35, cpus_per_worker=0.5
)


@pytest.fixture(scope="module", autouse=True)
def session():
    with pytest.MonkeyPatch.context() as patch, ray_session(num_cpus=2):
        # An actor of each run that asks whether the cloud takes a machine away; it imports Ray Train for a second.
        patch.setenv("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
        yield


def losses(out, name):
    history = load_history(work_folder(out, name) / "OU-H" / "history.json")
    return [value for record in history for value in (record.epoch, record.train_loss, record.validation_loss)]


def test_one_worker_trains_as_a_plain_process_does(shards_uri, tmp_path, monkeypatch):
    progress, cleaners = [], []

    def watch(*step):
        progress.append(step)
        cleaners.extend(train_workers(os.getpid(), "PlacementGroupCleaner"))

    card = train_ensemble(CONFIG, shards_uri, tmp_path, "rayed", watch, "local")
    here = train_ensemble(CONFIG, shards_uri, tmp_path, "here")
    assert progress == [(1, 2), (2, 2)]
    # It would keep the run for 12 s after the last epoch.
    assert cleaners == []
    # Thread counts differ, hence rounding: equal curves, not equal bytes.
    for key in ("validation_loss", "auroc"):
        assert card.networks[0].metrics[key] == pytest.approx(here.networks[0].metrics[key], abs=0.02)
    assert load_package(tmp_path / "rayed").network_names == ("OU-H",)
    # The error of a fit that cannot continue states the cause.
    monkeypatch.setattr("training.trainer.MAX_RESTARTS", 0)
    with pytest.raises(TrainingError, match=r"OU-H: training failed on Ray: .*another configuration"):
        train_ensemble(CONFIG.model_copy(update={"seed": 5}), shards_uri, tmp_path, "rayed", ray_address="local")


def test_workers_that_die_are_an_error_of_the_cluster(shards_uri, tmp_path, monkeypatch):
    """Another try may mend it, and goes on after the last complete epoch."""
    monkeypatch.setattr("training.trainer.MAX_RESTARTS", 0)
    killed = []

    def kill(done, n_epochs):
        # Two short epochs may be told at once.
        if not killed and done < n_epochs:
            killed.append(train_workers(os.getpid())[0])
            os.kill(killed[0], signal.SIGKILL)

    config = CONFIG.model_copy(update={"epochs": 40})
    with pytest.raises(ClusterError, match="OU-H: training failed on Ray: "):
        train_ensemble(config, shards_uri, tmp_path, "rayed", kill, "local")
    before = losses(tmp_path, "rayed")
    assert 3 <= len(before) < 3 * 40
    train_ensemble(config, shards_uri, tmp_path, "rayed")
    after = losses(tmp_path, "rayed")
    assert (len(after), after[: len(before)]) == (3 * 40, before)


THROUGH_A_CLIENT = """
import sys
from pathlib import Path
from training.config import TrainConfig
from training.run import train_ensemble

config = TrainConfig.model_validate_json(sys.argv[1])
print(train_ensemble(config, sys.argv[2], Path(sys.argv[3]), "rayed", ray_address=sys.argv[4]).networks[0].name)
"""


def test_training_runs_through_a_client(shards_uri, tmp_path):
    """The deployments reach their clusters at `ray://` addresses."""
    config = CONFIG.model_copy(update={"epochs": 1}).model_dump_json()
    with ray_head() as head:
        env = {**head.env, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "LENSSCAN_ALLOW_OPEN_CLUSTER": "true"}
        command = [sys.executable, "-W", "ignore", "-c", THROUGH_A_CLIENT, config, shards_uri, str(tmp_path), head.client]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] == "OU-H"


def test_one_lost_worker_counts_though_the_other_complains():
    gone, raised = ActorDiedError(), RuntimeError("connection closed by peer")
    assert _is_of_the_cluster(WorkerGroupError("", {0: raised, 1: gone}))
    assert _is_of_the_cluster(gone)
    assert not _is_of_the_cluster(WorkerGroupError("", {0: raised, 1: RayTaskError("train", "", raised)}))
    assert not _is_of_the_cluster(WorkerGroupError("", {}))


@pytest.mark.slow
def test_a_killed_worker_does_not_change_the_result_of_two(shards_uri, tmp_path):
    config = CONFIG.model_copy(update={"num_workers": 2, "epochs": 12, "bfloat16": False})
    killed = []

    def kill_once(done, _):
        if not killed and done < 12:
            killed.append(train_workers(os.getpid())[0])
            os.kill(killed[0], signal.SIGKILL)

    train_ensemble(config, shards_uri, tmp_path, "rayed", kill_once)
    assert killed
    train_ensemble(config, shards_uri, tmp_path, "undisturbed")
    assert len(losses(tmp_path, "rayed")) == 3 * 12
    assert losses(tmp_path, "rayed") == pytest.approx(losses(tmp_path, "undisturbed"), rel=1e-5)
