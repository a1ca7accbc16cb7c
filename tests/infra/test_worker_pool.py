"""Calls always end, even if their workers are killed, in local processes and in Ray actors; the tests kill real processes."""

from functools import partial

import pytest
import ray

from infra.calls import CallFailure
from infra.errors import ClusterError, LensscanError
from infra.infrastructure_errors import is_infrastructure
from infra.local_pool import LocalPool
from infra.ray.actor_pool import ActorPool
from infra.store.files import StorageError
from tests.infra.pool_calls import all_ended, both_workers, call, failures, values
from tests.infra.pool_worker import Worker

DEATHS = {"local": "SIGKILL", "ray": "SYSTEM_ERROR"}
"""Words with which the pools report a process that was killed."""

of_any_kind = pytest.mark.parametrize("kind", ["local"], indirect=True)
"""Mark of a test of what both kinds inherit: processes of Ray take seconds of a core to start."""


@pytest.fixture(scope="module", params=["local", pytest.param("ray", marks=pytest.mark.ray)])
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def make_shared_pool(kind, request):
    yield from pools_of(kind, request)


@pytest.fixture
def make_pool(kind, request):
    """Return a function that starts a pool of workers, which are made with the given options."""
    yield from pools_of(kind, request)


def pools_of(kind, request):
    pools = []
    if kind == "ray":
        request.getfixturevalue("ray_cluster")

    def make(n_workers, in_flight, **options):
        if kind == "ray":
            actor = ray.remote(num_cpus=0.1, max_concurrency=3)(Worker)
            pools.append(ActorPool(partial(actor.remote, **options), n_workers, in_flight))
        else:
            arguments = [options.get(name) for name in ("broken", "but_once", "killed_once", "killed", "error", "in_turn")]
            pools.append(LocalPool("tests.infra.pool_worker:Worker", arguments, n_workers, in_flight, {}))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()


@pytest.fixture
def pool(make_pool):
    return make_pool(2, 2)


@pytest.fixture(scope="module")
def shared_pool(make_shared_pool):
    """Return a pool for all tests that leave both workers alive and free."""
    return make_shared_pool(2, 2)


@pytest.fixture
def folder(tmp_path):
    """Return an empty folder in which calls meet."""
    (tmp_path / "meeting").mkdir()
    return str(tmp_path / "meeting")


@pytest.fixture
def often(monkeypatch):
    """Let the pool ask its workers every twentieth of a second."""
    monkeypatch.setattr("infra.worker_pool.ASK_EVERY_S", 0.05)


def test_every_call_ends_once_with_its_result(shared_pool):
    assert sorted(values(shared_pool, [call("double", x) for x in range(20)])) == [2 * x for x in range(20)]
    assert shared_pool.next_result() is None
    assert shared_pool.n_lost == 0


def test_an_exception_of_a_method_leaves_its_worker_running(shared_pool, folder):
    before = both_workers(shared_pool, folder)
    (result,) = all_ended(shared_pool, [call("fail", 1)])
    assert result.failure is CallFailure.RAISED
    assert isinstance(result.error, KeyError)
    assert set(values(shared_pool, [call("pid", is_alone=True) for _ in range(4)])) <= before


def test_a_failed_store_of_a_worker_is_told_as_one(shared_pool):
    """A unit is tried again after such an error alone."""
    (result,) = all_ended(shared_pool, [call("lose_the_store")])
    assert isinstance(result.error, StorageError)
    assert is_infrastructure(result.error)
    assert str(result.error) == "s3://night: is gone"


def test_a_killed_worker_is_replaced_and_all_its_calls_end(kind, pool, folder, tmp_path):
    both_workers(pool, folder)
    (tmp_path / "second").mkdir()
    meeting = str(tmp_path / "second")
    # Calls go to both workers in turn; the third call would wait for ever.
    calls = [call("die", meeting, 4), call("meet", meeting, 4), call("meet", meeting, 5), call("meet", meeting, 4)]
    results = {result.call: result for result in all_ended(pool, calls)}
    assert [results[submitted].failure for submitted in calls] == [CallFailure.DIED, None, CallFailure.DIED, None]
    assert str(results[calls[0]].error) == f"its worker died: {DEATHS[kind]}"
    assert pool.n_lost == 1
    assert sorted(values(pool, [call("double", x) for x in range(8)])) == list(range(0, 16, 2))


@of_any_kind
def test_a_call_marked_alone_has_a_worker_to_itself(pool, folder):
    calls = [call("sleep", 0.3), call("sleep", 0.3), call("die", folder, 1, is_alone=True), call("sleep", 0.3)]
    assert failures(pool, calls) == [None, None, CallFailure.DIED, None]


@of_any_kind
def test_no_call_joins_one_that_has_the_only_worker(make_pool, folder):
    calls = [call("die", folder, 1, is_alone=True), call("sleep", 0.1)]
    assert failures(make_pool(1, 2), calls) == [CallFailure.DIED, None]


@of_any_kind
def test_a_hanging_call_and_its_neighbours_end_as_disturbed(pool):
    calls = [call("hang", deadline_s=0.5), call("hang"), call("hang")]
    for submitted in calls:
        pool.submit(submitted)
    first, second = pool.next_result(), pool.next_result()
    # The pool cannot decide which of the two calls on one worker hangs.
    assert calls[0] in {first.call, second.call}
    assert first.call != second.call
    assert {first.failure, second.failure} == {CallFailure.KILLED_WITH_NEIGHBOUR}
    assert str(first.error) == "hang took longer than the allowed 0.5 s"
    assert pool.n_lost == 1


def test_a_call_that_hangs_alone_is_overdue(pool):
    calls = [call("hang", deadline_s=0.5, is_alone=True), call("double", 1), call("double", 2)]
    assert failures(pool, calls) == [CallFailure.OVERDUE, None, None]


@of_any_kind
def test_calls_that_end_do_not_prolong_one_that_hangs(make_pool):
    """The worker never holds the hanging call alone before its deadline."""
    calls = [call("hang", deadline_s=0.5), *(call("sleep", 0.1) for _ in range(12))]
    assert failures(make_pool(1, 2), calls)[0] is CallFailure.KILLED_WITH_NEIGHBOUR


@of_any_kind
def test_the_second_call_of_a_dead_worker_stays_open(make_pool, folder):
    pool = make_pool(1, 2)
    for submitted in (call("die", folder, 2), call("meet", folder, 3)):
        pool.submit(submitted)
    assert pool.next_result().failure is CallFailure.DIED
    assert (pool.n_open, pool.n_busy) == (1, 1)
    assert pool.next_result().failure is CallFailure.DIED
    assert (pool.n_open, pool.n_busy) == (0, 0)


@of_any_kind
def test_a_few_calls_are_spread_over_starting_workers(pool, folder):
    assert len(set(values(pool, [call("meet", folder, 2) for _ in range(2)]))) == 2


def test_a_worker_killed_while_it_starts_is_replaced(make_pool, tmp_path):
    """This holds even for the only worker, before any worker has run."""
    pool = make_pool(1, 1, killed_once=str(tmp_path / "one"))
    assert (values(pool, [call("double", 2)]), pool.n_lost) == ([4], 1)


def test_a_memory_error_is_returned_and_the_worker_survives(shared_pool):
    """The worker stays alive, and its other calls continue."""
    calls = [call("sleep", 0.3), call("sleep", 0.3), call("balloon", 1), call("balloon", 2)]
    results = {result.call: result for result in all_ended(shared_pool, calls)}
    assert [results[submitted].failure for submitted in calls] == [None, None, CallFailure.RAISED, CallFailure.RAISED]
    assert isinstance(results[calls[2]].error, MemoryError)
    assert shared_pool.n_lost == 0


def test_a_worker_that_cannot_start_raises_the_cause(make_pool):
    pool = make_pool(1, 1, broken=True)
    pool.submit(call("double", 1))
    with pytest.raises(ClusterError, match="no ensemble here"):
        pool.next_result()


@of_any_kind
@pytest.mark.parametrize(("error", "passes"), [(LensscanError("no such engine"), False), (StorageError("is gone"), True)])
def test_a_start_that_is_refused_is_no_infrastructure(make_pool, error, passes):
    pool = make_pool(1, 1, error=error)
    pool.submit(call("double", 1))
    with pytest.raises(ClusterError, match=f"no worker can be started: {error}") as caught:
        pool.next_result()
    assert is_infrastructure(caught.value) is passes


@of_any_kind
def test_workers_that_die_one_after_the_other_end_the_run(make_pool, folder, monkeypatch):
    monkeypatch.setattr("infra.worker_pool.MAX_DEATHS_IN_A_ROW", 3)
    pool = make_pool(1, 1)
    for _ in range(3):
        pool.submit(call("die", folder, 1))
    assert pool.next_result().failure is CallFailure.DIED
    assert pool.next_result().failure is CallFailure.DIED
    with pytest.raises(ClusterError, match="3 workers died one after the other"):
        pool.next_result()


@of_any_kind
def test_a_worker_killed_at_each_start_ends_the_run(make_pool, monkeypatch):
    monkeypatch.setattr("infra.worker_pool.MAX_DEATHS_IN_A_ROW", 3)
    pool = make_pool(1, 1, killed=True)
    pool.submit(call("double", 1))
    with pytest.raises(ClusterError, match="3 workers died one after the other, the last: its worker died: SIGKILL"):
        pool.next_result()


@of_any_kind
def test_deaths_with_answers_between_them_end_no_run(make_pool, monkeypatch):
    monkeypatch.setattr("infra.worker_pool.MAX_DEATHS_IN_A_ROW", 2)
    calls = [call(method, 1) for _ in range(3) for method in ("leave", "double")]
    assert failures(make_pool(1, 1), calls) == [CallFailure.DIED, None] * 3


@of_any_kind
def test_failed_starts_with_good_ones_between_them_cost_no_worker(make_pool, folder, monkeypatch):
    """Every second start of the only worker fails."""
    monkeypatch.setattr("infra.worker_pool.MAX_FAILED_STARTS", 2)
    pool = make_pool(1, 1, in_turn=folder)
    assert failures(pool, [call("leave", 1) for _ in range(3)]) == [CallFailure.DIED] * 3
    assert values(pool, [call("double", 2)]) == [4]


@of_any_kind
def test_no_more_calls_run_than_the_limit_allows(pool):
    durations_s = [0.3, 0.2, 0.1, 0.0]
    for seconds in durations_s:
        pool.submit(call("sleep", seconds))
    # If they ran together, they would end in reverse order.
    assert [pool.next_result(at_most=1).value for _ in durations_s] == durations_s


@pytest.mark.parametrize(("n_workers", "in_flight"), [(0, 1), (1, 0)])
def test_no_workers_and_no_slots_are_refused(make_pool, n_workers, in_flight):
    with pytest.raises(ValueError, match="must be >= 1"):
        make_pool(n_workers, in_flight)


def test_busy_workers_tell_how_far_they_are(shared_pool, folder, often):
    pids = both_workers(shared_pool, folder)
    told = []
    shared_pool.watch("last_step", told.append)
    assert failures(shared_pool, [call("note", 1.0) for _ in range(4)]) == [None] * 4
    assert {pid for answers in told for pid, _ in answers} == pids
    assert len({step for answers in told for _, step in answers}) >= 3
    assert all(len(answers) <= 2 for answers in told)


@of_any_kind
def test_a_question_that_raises_fails_nothing(pool, folder, often):
    both_workers(pool, folder)
    told = []
    pool.watch("no_step", told.append)
    assert values(pool, [call("sleep", 0.4) for _ in range(2)]) == [0.4, 0.4]
    assert (told, pool.n_lost) == ([], 0)


@of_any_kind
def test_a_worker_that_does_not_answer_is_asked_once(make_pool, often):
    pool = make_pool(1, 1)
    pool.watch("hang_when_asked", None)
    assert values(pool, [call("sleep", 0.4), call("times_asked")]) == [0.4, 1]


@of_any_kind
def test_a_deadline_counts_although_a_question_hangs(pool, folder, often):
    both_workers(pool, folder)
    pool.watch("hang", None)
    assert failures(pool, [call("sleep", 60, deadline_s=0.5, is_alone=True)]) == [CallFailure.OVERDUE]


@of_any_kind
def test_a_worker_that_dies_when_asked_is_replaced(pool, folder, often):
    both_workers(pool, folder)
    pool.watch("die_when_asked", None)
    assert failures(pool, [call("sleep", 30)]) == [CallFailure.DIED]
    assert pool.n_lost == 1
