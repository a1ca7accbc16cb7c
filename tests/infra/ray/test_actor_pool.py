"""Calls always end, even if their actors are killed; the tests kill real processes."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import ray
from ray.exceptions import RpcError

from infra.ray.actor_pool import MAX_FAILED_STARTS, ActorPool
from infra.ray.calls import Call, CallFailure
from infra.ray.cluster import ClusterError, actor_count

pytestmark = pytest.mark.ray


@ray.remote(num_cpus=0.1, max_concurrency=3)
class Worker:
    def __init__(self, broken=False, but_once=None, killed_once=None, killed=False):
        self.step = 0
        if killed:
            os.kill(os.getpid(), signal.SIGKILL)
        if killed_once:
            try:
                os.close(os.open(killed_once, os.O_CREAT | os.O_EXCL))
                os.kill(os.getpid(), signal.SIGKILL)
            except FileExistsError:
                pass
        if but_once:
            try:
                os.close(os.open(but_once, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                broken = True
        if broken:
            raise ValueError("no ensemble here")

    def double(self, x):
        return 2 * x

    def sleep(self, seconds):
        time.sleep(seconds)
        return seconds

    def note(self, seconds):
        """Sleep in five steps, and note each."""
        for step in range(5):
            self.step = step
            time.sleep(seconds / 5)

    def last_step(self):
        return os.getpid(), self.step

    def no_step(self):
        raise ValueError("no step yet")

    def die_when_asked(self):
        os.kill(os.getpid(), signal.SIGKILL)

    def hang(self):
        time.sleep(600)

    def pid(self):
        return os.getpid()

    def meet(self, folder, n):
        """Return the process id as soon as `n` calls of the test have come to the folder."""
        Path(folder, f"{os.getpid()}-{threading.get_ident()}").touch()
        while len(list(Path(folder).iterdir())) < n:
            time.sleep(0.01)
        return os.getpid()

    def fail(self, _):
        raise KeyError("tile-7")

    def die(self, folder, n):
        self.meet(folder, n)
        os.kill(os.getpid(), signal.SIGKILL)

    def balloon(self, _):
        raise MemoryError


def call(method, *arguments, deadline_s=60.0, is_alone=False):
    return Call(method, arguments, deadline_s, is_alone)


@pytest.fixture
def folder(tmp_path):
    """Return an empty folder in which calls meet."""
    (tmp_path / "meeting").mkdir()
    return str(tmp_path / "meeting")


@pytest.fixture
def pool(ray_cluster):
    pool = ActorPool(Worker.remote, 2, 2)
    yield pool
    pool.close()


@pytest.fixture
def often(monkeypatch):
    """Let the pool ask its actors every twentieth of a second."""
    monkeypatch.setattr("infra.ray.actor_pool.ASK_EVERY_S", 0.05)


def all_ended(pool, calls):
    for submitted in calls:
        pool.submit(submitted)
    return [pool.next_result() for _ in calls]


def values(pool, calls):
    results = all_ended(pool, calls)
    assert {result.failure for result in results} == {None}
    return [result.value for result in results]


def failures(pool, calls):
    """Return the failure of each call, in the order of the calls."""
    by_call = {result.call: result.failure for result in all_ended(pool, calls)}
    return [by_call[submitted] for submitted in calls]


def both_workers(pool, folder):
    """Return the process ids of both workers of a pool, once both run."""
    pids = set(values(pool, [call("meet", folder, 2) for _ in range(2)]))
    assert len(pids) == 2
    return pids


def run_until_logged(pool, text, caplog):
    """Keep two workers busy until the pool logs the text; return the failures meanwhile."""
    seen = []
    while text not in caplog.text:
        seen += failures(pool, [call("sleep", 0.05) for _ in range(2)])
    return [failure for failure in seen if failure is not None]


def test_every_call_ends_once_with_its_result(pool):
    assert sorted(values(pool, [call("double", x) for x in range(20)])) == [2 * x for x in range(20)]
    assert pool.next_result() is None
    assert pool.n_lost == 0


def test_an_exception_of_a_method_leaves_its_actor_running(pool, folder):
    before = both_workers(pool, folder)
    (result,) = all_ended(pool, [call("fail", 1)])
    assert result.failure is CallFailure.RAISED
    assert isinstance(result.error, KeyError)
    assert set(values(pool, [call("pid", is_alone=True) for _ in range(4)])) <= before


def test_a_killed_actor_is_replaced_and_all_its_calls_end(pool, folder, tmp_path):
    both_workers(pool, folder)
    (tmp_path / "second").mkdir()
    meeting = str(tmp_path / "second")
    # Calls go to both actors in turn; the third call would wait for ever.
    calls = [call("die", meeting, 4), call("meet", meeting, 4), call("meet", meeting, 5), call("meet", meeting, 4)]
    results = {result.call: result for result in all_ended(pool, calls)}
    assert [results[submitted].failure for submitted in calls] == [CallFailure.DIED, None, CallFailure.DIED, None]
    assert str(results[calls[0]].error) == "its worker died: SYSTEM_ERROR"
    assert pool.n_lost == 1
    assert sorted(values(pool, [call("double", x) for x in range(8)])) == list(range(0, 16, 2))


def test_a_call_marked_alone_has_an_actor_to_itself(pool, folder):
    calls = [call("sleep", 0.3), call("sleep", 0.3), call("die", folder, 1, is_alone=True), call("sleep", 0.3)]
    assert failures(pool, calls) == [None, None, CallFailure.DIED, None]


def test_a_hanging_call_and_its_neighbours_end_as_disturbed(pool):
    calls = [call("hang", deadline_s=0.5), call("hang"), call("hang")]
    for submitted in calls:
        pool.submit(submitted)
    first, second = pool.next_result(), pool.next_result()
    # The pool cannot decide which of the two calls on one actor hangs.
    assert calls[0] in {first.call, second.call}
    assert first.call != second.call
    assert {first.failure, second.failure} == {CallFailure.KILLED_WITH_NEIGHBOUR}
    assert str(first.error) == "hang took longer than the allowed 0.5 s"
    assert pool.n_lost == 1


def test_a_call_that_hangs_alone_is_overdue(pool):
    calls = [call("hang", deadline_s=0.5, is_alone=True), call("double", 1), call("double", 2)]
    assert failures(pool, calls) == [CallFailure.OVERDUE, None, None]


def test_an_actor_gets_calls_only_once_it_runs(ray_cluster):
    """An actor without room on the cluster delays no call, and a call's deadline does not run while the call waits."""
    actors = []

    def make_actor():
        actors.append(Worker.options(num_cpus=1000 if actors else 0.1).remote())
        return actors[-1]

    pool = ActorPool(make_actor, 2, 2)
    assert set(values(pool, [call("sleep", 0.2, deadline_s=1.0) for _ in range(14)])) == {0.2}
    pool.close()


def test_a_cluster_without_room_raises_an_error_in_bounded_time(ray_cluster, monkeypatch):
    monkeypatch.setattr("infra.ray.actor_pool.START_S", 0.2)
    pool = ActorPool(Worker.options(num_cpus=1000).remote, 2, 2)
    pool.submit(call("double", 1))
    with pytest.raises(ClusterError, match=r"no worker could be started for 0\.2 s"):
        pool.next_result()
    pool.close()


def test_a_few_calls_are_spread_over_starting_actors(pool, folder):
    assert len(set(values(pool, [call("meet", folder, 2) for _ in range(2)]))) == 2


def test_the_pool_shrinks_if_replacements_of_an_actor_cannot_start(ray_cluster, tmp_path, folder, caplog):
    """The other actors continue; the failure of the last actor ends the run."""
    n_made = 0

    def make_actor():
        nonlocal n_made
        n_made += 1
        return Worker.remote(but_once=str(tmp_path / "one")) if n_made != 2 else Worker.remote()

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


def test_an_actor_killed_while_it_starts_is_replaced(ray_cluster, tmp_path):
    """This holds even for the only actor, before any actor has run."""
    pool = ActorPool(lambda: Worker.remote(killed_once=str(tmp_path / "one")), 1, 1)
    assert (values(pool, [call("double", 2)]), pool.n_lost) == ([4], 1)
    pool.close()


def test_the_pool_shrinks_if_an_actor_is_always_killed_starting(ray_cluster, caplog):
    """This happens if memory suffices for only one of two actors; that one continues undisturbed."""
    n_made = 0

    def make_actor():
        nonlocal n_made
        n_made += 1
        return Worker.remote() if n_made == 1 else Worker.remote(killed=True)

    pool = ActorPool(make_actor, 2, 1)
    assert run_until_logged(pool, "going on with 1 workers", caplog) == []
    # There are more starts if an actor was killed before the first had started.
    assert n_made >= 1 + MAX_FAILED_STARTS
    n_before = n_made
    assert set(values(pool, [call("double", x) for x in range(3)])) == {0, 2, 4}
    assert n_made == n_before
    pool.close()


def test_a_lost_ray_raises_one_error_and_close_still_works(ray_cluster, monkeypatch):
    """Losing a real Ray soon ends the whole process: see `test_a_new_cluster_continues_after_the_head_dies`."""

    def gone(*_args, **_kwargs):
        raise RpcError("failed to connect to all addresses")

    pool = ActorPool(Worker.remote, 1, 1)
    for name in ("wait", "kill", "cluster_resources"):
        monkeypatch.setattr(ray, name, gone)
    pool.submit(call("double", 1))
    for use in (pool.next_result, lambda: ActorPool(gone, 1, 1), lambda: actor_count(1, 1, 1.0)):
        with pytest.raises(ClusterError, match="Ray is gone: failed to connect"):
            use()
    pool.close()
    monkeypatch.undo()
    pool.close()


def test_a_memory_error_is_returned_and_the_actor_survives(pool):
    """The actor stays alive, and its other calls continue."""
    calls = [call("sleep", 0.3), call("sleep", 0.3), call("balloon", 1), call("balloon", 2)]
    results = {result.call: result for result in all_ended(pool, calls)}
    assert [results[submitted].failure for submitted in calls] == [None, None, CallFailure.RAISED, CallFailure.RAISED]
    assert isinstance(results[calls[2]].error, MemoryError)
    assert pool.n_lost == 0


def test_an_actor_that_cannot_start_raises_the_cause(ray_cluster):
    pool = ActorPool(lambda: Worker.remote(broken=True), 1, 1)
    pool.submit(call("double", 1))
    with pytest.raises(ClusterError, match="no ensemble here"):
        pool.next_result()
    pool.close()


def test_actors_that_die_one_after_the_other_end_the_run(ray_cluster, folder, monkeypatch):
    monkeypatch.setattr("infra.ray.actor_pool.MAX_DEATHS_IN_A_ROW", 3)
    pool = ActorPool(Worker.remote, 1, 1)
    for _ in range(3):
        pool.submit(call("die", folder, 1))
    assert pool.next_result().failure is CallFailure.DIED
    assert pool.next_result().failure is CallFailure.DIED
    with pytest.raises(ClusterError, match="3 workers died one after the other"):
        pool.next_result()
    pool.close()


def test_no_more_calls_run_than_the_limit_allows(pool):
    durations_s = [0.3, 0.2, 0.1, 0.0]
    for seconds in durations_s:
        pool.submit(call("sleep", seconds))
    # If they ran together, they would end in reverse order.
    assert [pool.next_result(at_most=1).value for _ in durations_s] == durations_s


@pytest.mark.parametrize(("n_actors", "in_flight"), [(0, 1), (1, 0)])
def test_no_actors_and_no_slots_are_refused(n_actors, in_flight):
    with pytest.raises(ValueError, match="must be >= 1"):
        ActorPool(lambda: None, n_actors, in_flight)


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
    worker = Worker.remote()
    try:
        ray.get(worker.die.remote())
    except ray.exceptions.RayActorError:
        time.sleep(2)
print("answer")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=True)
    assert done.stdout == "answer\n"
    assert "raylet" in done.stderr


def test_busy_actors_tell_how_far_they_are(pool, folder, often):
    pids = both_workers(pool, folder)
    told = []
    pool.watch("last_step", told.append)
    assert failures(pool, [call("note", 1.0) for _ in range(4)]) == [None] * 4
    assert {pid for answers in told for pid, _ in answers} == pids
    assert len({step for answers in told for _, step in answers}) >= 3
    assert all(len(answers) <= 2 for answers in told)


def test_a_question_that_raises_fails_nothing(pool, folder, often):
    both_workers(pool, folder)
    told = []
    pool.watch("no_step", told.append)
    assert values(pool, [call("sleep", 0.4) for _ in range(2)]) == [0.4, 0.4]
    assert (told, pool.n_lost) == ([], 0)


def test_a_deadline_counts_although_a_question_hangs(pool, folder, often):
    both_workers(pool, folder)
    pool.watch("hang", None)
    assert failures(pool, [call("sleep", 60, deadline_s=0.5, is_alone=True)]) == [CallFailure.OVERDUE]


def test_an_actor_that_dies_when_asked_is_replaced(pool, folder, often):
    both_workers(pool, folder)
    pool.watch("die_when_asked", None)
    assert failures(pool, [call("sleep", 30)]) == [CallFailure.DIED]
    assert pool.n_lost == 1
