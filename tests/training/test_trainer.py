"""Tests of Ray Train: it runs the same fits, a killed worker is an error of the cluster, and slow tests restart workers."""

import os
import signal

import pytest
from ray.exceptions import ActorDiedError, RayTaskError
from ray.train import WorkerGroupError

from infra.errors import ClusterError
from infra.ray.cluster_access import ensure_token, known_token
from scanner.networks.architectures import PAPER_NETWORKS
from scanner.networks.package import load_package
from tests.faults.harness.ray_heads import ray_head
from tests.training.workers import train_workers
from training.build import work_folder
from training.checkpoint import load_history
from training.config import TrainConfig
from training.errors import TrainingError
from training.run import train_ensemble
from training.trainer import _is_of_the_cluster, _watch

pytestmark = pytest.mark.ray
OU_H = PAPER_NETWORKS[2]
CONFIG = TrainConfig(
    epochs=2, batch_size=8, networks=(OU_H,), validation_fraction=0.35, test_fraction=0.35, cpus_per_worker=0.5
)


@pytest.fixture(scope="module")
def head():
    """Run a cluster for this file: it has this user's token, and no dashboard, as a private Ray has none."""
    ensure_token()
    with pytest.MonkeyPatch.context() as patch:
        # Threads of a worker that wait for each other would keep busy a core that they lack.
        patch.setenv("OMP_WAIT_POLICY", "passive")
        # An actor of each run that asks whether the cloud takes a machine away; it imports Ray Train for a second.
        patch.setenv("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
        patch.setenv("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.2")
        with ray_head(known_token()) as started:
            yield started


def losses(out, name):
    history = load_history(work_folder(out, name) / "OU-H" / "history.json")
    return [value for record in history for value in (record.epoch, record.train_loss, record.validation_loss)]


def test_one_worker_trains_as_a_plain_process_does(head, shards_uri, tmp_path):
    """It trains through a Ray client, as the deployments do."""
    progress = []
    card = train_ensemble(CONFIG, shards_uri, tmp_path, "rayed", lambda *step: progress.append(step), head.client)
    here = train_ensemble(CONFIG, shards_uri, tmp_path, "here")
    assert progress == [(1, 2), (2, 2)]
    # Thread counts differ, hence rounding: equal curves, not equal bytes.
    for key in ("validation_loss", "auroc"):
        assert card.networks[0].metrics[key] == pytest.approx(here.networks[0].metrics[key], abs=0.02)
    assert load_package(tmp_path / "rayed").network_names == ("OU-H",)


def test_workers_that_die_are_an_error_of_the_cluster(head, shards_uri, tmp_path, monkeypatch):
    """Another try may mend it, and goes on after the last complete epoch."""
    monkeypatch.setattr("training.trainer.MAX_RESTARTS", 0)
    monkeypatch.setattr("training.trainer.POLL_S", 0.05)
    killed, cleaners = [], []

    def kill(done, n_epochs):
        cleaners.extend(train_workers(head.pid, "PlacementGroupCleaner"))
        # Two short epochs may be told at once.
        if not killed and done < n_epochs:
            killed.append(train_workers(head.pid)[0])
            os.kill(killed[0], signal.SIGKILL)

    config = CONFIG.model_copy(update={"epochs": 20})
    with pytest.raises(ClusterError, match="OU-H: training failed on Ray: "):
        train_ensemble(config, shards_uri, tmp_path, "rayed", kill, head.gcs)
    assert killed, "the training must not end before the kill"
    # It would keep the run for 12 s after the last epoch.
    assert cleaners == []
    before = losses(tmp_path, "rayed")
    assert 3 <= len(before) < 3 * 20
    train_ensemble(config, shards_uri, tmp_path, "rayed")
    after = losses(tmp_path, "rayed")
    assert (len(after), after[: len(before)]) == (3 * 20, before)


def test_workers_without_a_cpu_are_not_awaited_for_ever(head, shards_uri, tmp_path, monkeypatch, caplog):
    """The head has one CPU; a cluster may get more nodes, so that the training waits for them for some time."""
    monkeypatch.setattr("training.trainer.MAX_STARTS", 1)
    monkeypatch.setenv("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "0.5")
    config = CONFIG.model_copy(update={"num_workers": 3})
    with pytest.raises(ClusterError, match=r"OU-H: training failed on Ray: .*waiting for 3 workers"):
        train_ensemble(config, shards_uri, tmp_path, "rayed", ray_address=head.gcs)
    assert "3 workers of 0.5 CPU each need 1.5 CPUs, got 1" in caplog.text


@pytest.mark.slow
def test_the_error_of_workers_states_the_cause(head, shards_uri, tmp_path, monkeypatch):
    monkeypatch.setattr("training.trainer.MAX_RESTARTS", 0)
    train_ensemble(CONFIG, shards_uri, tmp_path, "rayed", ray_address=head.gcs)
    with pytest.raises(TrainingError, match=r"OU-H: training failed on Ray: .*another configuration"):
        train_ensemble(CONFIG.model_copy(update={"seed": 5}), shards_uri, tmp_path, "rayed", ray_address=head.gcs)


@pytest.mark.parametrize(
    ("raised", "kind", "cause"),
    [
        (ValueError("Traceback\nits cause\n"), TrainingError, "its cause"),
        (ActorDiedError(), ClusterError, r"The actor died .*"),
    ],
)
def test_a_failed_run_is_told_by_its_last_line(tmp_path, raised, kind, cause):
    class Failing:
        def fit(self):
            raise WorkerGroupError("", {0: raised})

    with pytest.raises(kind, match=rf"^OU-H: training failed on Ray: {cause}$"):
        _watch(Failing(), tmp_path / "OU-H" / "history.json", print)


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
