"""Calls always end, even if their actors are killed: real processes are killed. Tests of the session itself use its cluster."""

import os
import re
import signal
import subprocess
import sys

import pytest
import ray
from ray.exceptions import RpcError

from infra.errors import ClusterError
from infra.private_apis import ray_ready
from infra.ray.actor_pool import ActorPool
from infra.ray.cluster import actor_count, ray_session
from infra.ray.cluster_access import Answer, ask, known_token
from tests.infra.pool_calls import all_ended, both_workers, call, failures, values
from tests.infra.pool_worker import Worker

pytestmark = pytest.mark.ray


RayWorker = ray.remote(num_cpus=0.1, max_concurrency=3)(Worker)


@pytest.fixture
def folder(tmp_path):
    """Return an empty folder in which calls meet."""
    (tmp_path / "meeting").mkdir()
    return str(tmp_path / "meeting")


@pytest.fixture
def few_starts(monkeypatch):
    """Let a pool give a worker up after two failed starts, and return this number."""
    monkeypatch.setattr("infra.worker_pool.MAX_FAILED_STARTS", 2)
    return 2


def run_until_logged(pool, text, caplog):
    """Keep two workers busy until the pool logs the text; return the failures meanwhile."""
    seen = []
    while text not in caplog.text:
        seen += failures(pool, [call("sleep", 0.05) for _ in range(2)])
    return [failure for failure in seen if failure is not None]


def test_a_running_session_is_used_and_left_running(ray_cluster):
    node = ray.get_runtime_context().get_node_id()
    with ray_session(num_cpus=1):
        assert ray.get_runtime_context().get_node_id() == node
    assert ray.is_initialized()


@pytest.mark.fault(37)
def test_a_private_session_answers_only_to_its_token(ray_cluster):
    address = ray.get_runtime_context().gcs_address
    assert ask(address) is Answer.REFUSED
    assert ask(address, "f" * 64) is Answer.REFUSED
    assert ask(address, known_token()) is Answer.GIVEN


def test_an_actor_of_ray_tells_when_it_runs(ray_cluster):
    actor = RayWorker.remote()
    ray.get(ray_ready(actor))
    ray.kill(actor)


def test_an_actor_gets_calls_only_once_it_runs(ray_cluster):
    """An actor without room on the cluster delays no call, and a call's deadline does not run while the call waits."""
    actors = []

    def make_actor():
        actors.append(RayWorker.options(num_cpus=1000 if actors else 0.1).remote())
        return actors[-1]

    pool = ActorPool(make_actor, 2, 2)
    assert set(values(pool, [call("sleep", 0.2, deadline_s=1.0) for _ in range(14)])) == {0.2}
    pool.close()


def test_a_cluster_without_room_raises_an_error_in_bounded_time(ray_cluster, monkeypatch):
    monkeypatch.setattr("infra.worker_pool.START_S", 0.2)
    asks = {"CPU": 1000, "GPU": 0.25}
    pool = ActorPool(RayWorker.options(num_cpus=1000).remote, 2, 2, asks)
    pool.submit(call("double", 1))
    with pytest.raises(ClusterError, match=r"no worker could be started for 0\.2 s: the cluster has no room") as caught:
        pool.next_result()
    n_cpus = f"{ray.cluster_resources()['CPU']:g}"
    told = rf"; each worker asks for 1000 CPU and 0\.25 GPU, and [\d.]+ of {n_cpus} CPU and 0 of 0 GPU are free$"
    assert re.search(told, str(caught.value))
    pool.close()


def test_the_pool_shrinks_if_replacements_of_an_actor_cannot_start(ray_cluster, tmp_path, folder, caplog, few_starts):
    """The other actors continue; the failure of the last actor ends the run."""
    n_made = 0

    def make_actor():
        nonlocal n_made
        n_made += 1
        return RayWorker.remote(but_once=str(tmp_path / "one")) if n_made != 2 else RayWorker.remote()

    pool = ActorPool(make_actor, 2, 1)
    pids = both_workers(pool, folder)
    os.kill(pids.pop(), signal.SIGKILL)
    # The pool notices the death by the call that it gives to the dead worker.
    assert len(run_until_logged(pool, "going on with 1 workers", caplog)) == 1
    assert set(values(pool, [call("pid") for _ in range(5)])) == pids
    os.kill(pids.pop(), signal.SIGKILL)
    with pytest.raises(ClusterError, match=r"no worker can be started: .*no ensemble here"):
        all_ended(pool, [call("pid") for _ in range(9)])
    pool.close()


def test_the_pool_shrinks_if_an_actor_is_always_killed_starting(ray_cluster, caplog, few_starts):
    """This happens if memory suffices for only one of two actors; that one continues undisturbed."""
    n_made = 0

    def make_actor():
        nonlocal n_made
        n_made += 1
        return RayWorker.remote() if n_made == 1 else RayWorker.remote(killed=True)

    pool = ActorPool(make_actor, 2, 1)
    assert run_until_logged(pool, "going on with 1 workers", caplog) == []
    # There are more starts if an actor was killed before the first had started.
    assert n_made >= 1 + few_starts
    n_before = n_made
    assert set(values(pool, [call("double", x) for x in range(3)])) == {0, 2, 4}
    assert n_made == n_before
    pool.close()


def test_actors_of_half_a_core_fill_two_cores(ray_cluster):
    assert [actor_count(9, 9, cpus) for cpus in (0.5, 1.0, 2.0, 4.0)] == [4, 2, 1, 1]
    assert (actor_count(3, 9, 0.5), actor_count(9, 2, 0.5)) == (3, 2)


def test_a_lost_ray_raises_one_error_and_close_still_works(ray_cluster, monkeypatch):
    """Losing a real Ray soon ends the whole process: see `test_a_new_cluster_continues_after_the_head_dies`."""

    def gone(*_args, **_kwargs):
        raise RpcError("failed to connect to all addresses")

    pool = ActorPool(RayWorker.remote, 1, 1)
    for name in ("wait", "kill", "cluster_resources"):
        monkeypatch.setattr(ray, name, gone)
    pool.submit(call("double", 1))
    for use in (pool.next_result, lambda: ActorPool(gone, 1, 1), lambda: actor_count(1, 1, 1.0)):
        with pytest.raises(ClusterError, match="Ray is gone: failed to connect"):
            use()
    pool.close()
    monkeypatch.undo()
    pool.close()


@pytest.mark.faults
def test_messages_of_ray_about_dead_workers_stay_off_stdout():
    code = """
import os, time, ray
from infra.ray.cluster import ray_session
with ray_session(num_cpus=1):
    @ray.remote
    class Worker:
        def die(self):
            os._exit(1)
    worker = RayWorker.remote()
    try:
        ray.get(worker.die.remote())
    except ray.exceptions.RayActorError:
        time.sleep(2)
print("answer")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=True)
    assert done.stdout == "answer\n"
    assert "raylet" in done.stderr
