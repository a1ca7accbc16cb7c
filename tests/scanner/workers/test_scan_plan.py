"""Run a plan's pending units with a pool that has no processes and commits the requested units."""

import errno

import pytest

from infra.calls import CallFailure
from infra.errors import ClusterError
from infra.infrastructure_errors import is_infrastructure
from infra.store.files import StoreRefusedError, cannot_write
from infra.store.storage import StorageError
from scanner.catalogue.ledger import Outcome, pending, publish
from scanner.workers.dispatch import UnitsFailedError, scan_plan
from scanner.workers.run_tally import RunTally
from scanner.workers.store_backoff import StoreBackoff
from tests.scanner.catalogue_parts import plan_of, scores
from tests.scanner.fake_pool import Clock, FakePool

IDS = {f"u{i}": list(range(10 * i, 10 * i + i + 1)) for i in range(8)}
"""`u0` has one row, `u7` eight."""
N_ROWS = 36


class Workers:
    """Workers of a fake pool: units commit their rows, or end as in `ends`."""

    def __init__(self, plan, root):
        self._plan, self._root = plan, root
        self.ends, self.pool = {}, FakePool(self._answer)

    def _answer(self, call):
        (task,) = call.arguments
        if self.ends.get(task.unit_id):
            return self.ends[task.unit_id].pop(0)
        return self.commit(task.unit_id)

    def commit(self, unit_id):
        ids = IDS[unit_id]
        return publish(scores(ids, [0.25] * len(ids)), self._plan.unit(unit_id), self._plan, self._root, f"try-{unit_id}")


@pytest.fixture
def plan():
    return plan_of(IDS, batch_size=32)


@pytest.fixture
def root(tmp_path):
    return str(tmp_path)


@pytest.fixture
def workers(plan, root):
    return Workers(plan, root)


def test_a_run_commits_every_unit_and_reports_progress(plan, root, workers):
    told = []
    run = scan_plan(plan, pending(plan, root), workers.pool, lambda *done: told.append(done))
    assert [receipt.unit_id for receipt in run.receipts] == list(IDS)
    assert {receipt.outcome for receipt in run.receipts} == {Outcome.COMMITTED}
    assert run.n_workers_lost == 0
    assert pending(plan, root) == []
    assert told == [(n, N_ROWS, ()) for n in (0, 1, 3, 6, 10, 15, 21, 28, 36)]
    assert {started.task.batch_size for started in workers.pool.started} == {32}


def test_committed_units_are_not_scanned_again(plan, root, workers):
    workers.commit("u7")
    workers.commit("u2")
    told = []
    run = scan_plan(plan, pending(plan, root), workers.pool, lambda *done: told.append(done))
    assert [receipt.unit_id for receipt in run.receipts] == ["u0", "u1", "u3", "u4", "u5", "u6"]
    assert told == [(n, N_ROWS, ()) for n in (11, 12, 14, 18, 23, 29, 36)]


def test_progress_counts_the_rows_of_units_at_work(plan, root, workers):
    """The last answers name a unit that is committed meanwhile, and one that the run does not know."""
    workers.pool.rows_done.extend([[{"u0": 0}, {"u3": 2}], [{"u1": 1}, {"u3": 9}], [{"u1": 2}, {"strange": 5}]])
    told = []
    scan_plan(plan, pending(plan, root), workers.pool, lambda *done: told.append(done))
    first = [(0, ()), (2, ("u0", "u3")), (3, ("u3",)), (1 + 1 + 4, ("u1", "u3")), (3 + 4, ("u3",)), (3, ()), (6, ())]
    assert told[:7] == [(n, N_ROWS, at_work) for n, at_work in first]
    assert told[-1] == (N_ROWS, N_ROWS, ())


def test_a_run_needs_no_progress_callback(plan, root, workers):
    assert len(scan_plan(plan, pending(plan, root), workers.pool).receipts) == 8


def test_workers_that_were_lost_are_counted(plan, root, workers):
    workers.ends = {"u0": [CallFailure.DIED], "u4": [CallFailure.LOST]}
    run = scan_plan(plan, pending(plan, root), workers.pool)
    assert run.n_workers_lost == 2
    assert len(run.receipts) == 8


def test_units_that_are_given_up_are_named_with_errors(plan, root, workers):
    workers.ends = {"u1": [ValueError("one")] * 3, "u6": [KeyError("six")] * 3}
    with pytest.raises(UnitsFailedError) as raised:
        scan_plan(plan, pending(plan, root), workers.pool)
    expected = "2 of 8 tiles could not be scanned, the others are done: u1: ValueError: one; u6: KeyError: 'six'"
    assert str(raised.value) == expected
    assert [unit.unit_id for unit in pending(plan, root)] == ["u1", "u6"]


@pytest.mark.parametrize(("others", "passes"), [([], False), ([StorageError("away")] * 6, True)])
def test_a_failed_store_alone_is_worth_another_run(plan, root, workers, others, passes):
    """The units that raise are given up before and after the other one."""
    workers.ends = {"u1": [ValueError("one")] * 3, "u2": others, "u6": [MemoryError()] * 6 + [ValueError("six")] * 3}
    workers.ends |= {name: [MemoryError()] * 3 * i for i, name in enumerate(("u3", "u4", "u5"))}
    tally = RunTally()
    with pytest.raises(UnitsFailedError) as raised:
        scan_plan(plan, pending(plan, root), workers.pool, tally=tally)
    assert raised.value.is_infrastructure is passes
    assert tally.n_units_failed == 2 + passes


def test_a_store_without_room_ends_the_run_at_once(plan, root, workers):
    """Before the run `u7` is committed, in it `u0`, `u1` and `u2`."""
    workers.commit("u7")
    workers.ends = {"u3": [cannot_write("/full/u3.unit", OSError(errno.EDQUOT, "Disk quota exceeded"))]}
    with pytest.raises(StoreRefusedError) as raised:
        scan_plan(plan, pending(plan, root), workers.pool)
    assert str(raised.value) == (
        "/full/u3.unit: cannot be written: Disk quota exceeded. "
        "4 of 8 tiles are safe (u0, u1, u2, u7); make room and run the same command again"
    )
    assert not is_infrastructure(raised.value)
    assert [started.task.unit_id for started in workers.pool.started] == ["u0", "u1", "u2", "u3", "u4"]


def test_a_plan_of_one_unit_names_its_kind(root):
    plan = plan_of({"u1": IDS["u1"]}, kind="shard")
    workers = Workers(plan, root)
    workers.ends = {"u1": [ValueError("one")] * 3}
    with pytest.raises(
        UnitsFailedError, match=r"^1 of 1 shards could not be scanned, the others are done: u1: ValueError: one$"
    ):
        scan_plan(plan, plan.units, workers.pool)


def test_no_more_than_five_units_are_named(plan, root, workers):
    workers.ends = {unit: [ValueError("bad")] * 3 for unit in IDS if unit != "u3"}
    with pytest.raises(UnitsFailedError, match=r"^7 of 8 tiles") as raised:
        scan_plan(plan, pending(plan, root), workers.pool)
    assert str(raised.value).count("ValueError: bad") == 5


def test_a_store_that_fails_for_long_ends_the_run(plan, root, workers):
    clock = Clock()
    workers.ends = {unit: [StorageError("away")] * 100 for unit in IDS}
    with pytest.raises(StorageError, match=r"has failed for 62 s, .*: away"):
        scan_plan(plan, pending(plan, root), workers.pool, backoff=StoreBackoff(50, clock, clock.sleep))
    # The pauses are 2, 4, 8, 16 and 32 s: the first sum beyond 50 s.
    assert sum(clock.sleeps) == 62


def test_the_end_of_ray_ends_the_run(plan, root, workers, monkeypatch):
    def gone(*_, **__):
        raise ClusterError("Ray is gone")

    monkeypatch.setattr(FakePool, "next_result", gone)
    with pytest.raises(ClusterError, match="Ray is gone"):
        scan_plan(plan, pending(plan, root), workers.pool)
