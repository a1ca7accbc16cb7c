"""Check the dispatcher's reaction to the end of each call, with a pool without processes and a clock that stands still."""

import errno
import itertools
from dataclasses import replace

import pytest

from infra.calls import CallFailure
from infra.errors import LensscanError
from infra.store.storage import StorageError
from scanner.catalogue.ledger import Outcome, Receipt
from scanner.catalogue.outcomes import TransientError
from scanner.catalogue.units import InputFile
from scanner.workers.dispatch import _Dispatch, unit_deadline_s
from scanner.workers.store_backoff import StoreBackoff
from tests.scanner.catalogue_parts import unit_of
from tests.scanner.fake_pool import Clock, FakePool
from tests.scanner.tasks import commit, crashed_of, read_of, trial

AWAY = StorageError("no route to the store")


def units_of(*names, n_rows=8):
    return [unit_of(name, range(n_rows)) for name in names]


def receipt_of(task):
    return Receipt(task.unit_id, "attempt", Outcome.COMMITTED, 8, 8, 0, 0, "")


def scripted(**told):
    """Return an answer function: each unit's tries end as listed, one after the other, and later ones succeed."""
    scripts = {name: iter(ends) for name, ends in told.items()}

    def answer(call):
        (task,) = call.arguments
        said = next(scripts.get(task.unit_id, iter(())), None)
        return receipt_of(task) if said is None and not task.is_trial else said

    return answer


class Run:
    """Run of a dispatcher with a fake pool; calling it runs to the end."""

    def __init__(self, units, answer, **pool):
        self.clock = Clock()
        self.pool = FakePool(answer, clock=self.clock, **pool)
        backoff = StoreBackoff(clock=self.clock, sleep=self._sleep)
        self.n_busy_at_pauses = []
        self.dispatch = _Dispatch(units, 64, self.pool, backoff)

    def __call__(self):
        self.committed = [receipt.unit_id for receipt in self.dispatch.receipts()]
        return self

    def _sleep(self, seconds):
        self.n_busy_at_pauses.append(self.pool.n_busy)
        self.clock.sleep(seconds)

    def tasks(self, unit_id):
        return [started.task for started in self.pool.started if started.task.unit_id == unit_id]

    @property
    def given_up(self):
        return self.dispatch.given_up


def test_every_unit_is_scanned_once_and_gives_a_receipt():
    run = Run(units_of("a", "b", "c"), scripted())()
    assert run.committed == ["a", "b", "c"]
    assert [(started.method, started.task) for started in run.pool.started] == [("scan", commit(name, 64)) for name in "abc"]
    assert [started.n_beside for started in run.pool.started] == [0, 1, 1]
    assert run.given_up == {}
    assert run.clock.sleeps == []


SCAN = commit("a", 64)
SMALLER = replace(SCAN, batch_size=16)
NEXT_TRY = {
    "it raises": (ValueError("bad pixels"), SCAN),
    "the store fails": (AWAY, SCAN),
    "the system fails to read": (OSError(errno.EIO, "input/output error"), SCAN),
    "rows failed for a passing reason": (TransientError("io_error"), SCAN),
    "Python has no memory": (MemoryError(), SMALLER),
    "the system has no memory": (OSError(errno.ENOMEM, "cannot allocate"), SMALLER),
    "torch has no memory": (RuntimeError("CUDA out of memory. Tried to allocate"), SMALLER),
    "torch has none on a CPU": (RuntimeError("DefaultCPUAllocator: can't allocate memory"), SMALLER),
    "another library has none": (RuntimeError("Cannot allocate memory"), SMALLER),
    "OpenVINO has none": (RuntimeError("Exception from src/core.cpp: std::bad_alloc"), SMALLER),
    "OpenVINO has none, in words": (RuntimeError("bad alloc"), SMALLER),
    "it raises of something else": (RuntimeError("memory layout is unknown"), SCAN),
    "an error of ours speaks of memory": (LensscanError("out of memory"), SCAN),
    "the worker dies": (CallFailure.DIED, replace(SMALLER, is_alone=True)),
    "Ray ends the worker for memory": (CallFailure.OUT_OF_MEMORY, SMALLER),
    "the node goes": (CallFailure.LOST, SCAN),
    "the worker hangs": (CallFailure.OVERDUE, replace(SCAN, is_alone=True)),
}
"""End of the first try of a unit that runs together with another, and the next task."""


@pytest.mark.parametrize("case", NEXT_TRY)
def test_the_next_try_depends_on_the_last_failure(case):
    said, expected = NEXT_TRY[case]
    run = Run(units_of("a", "b"), scripted(a=[said]))()
    assert run.tasks("a") == [SCAN, expected]
    assert {started.method for started in run.pool.started} == {"scan"}
    assert sorted(run.committed) == ["a", "b"]


@pytest.mark.parametrize("said", [ValueError("bad pixels"), CallFailure.OVERDUE])
def test_a_failed_try_of_a_unit_alone_is_repeated(said):
    assert Run(units_of("a"), scripted(a=[said]))().tasks("a") == [SCAN, SCAN]


def test_a_unit_that_raises_three_times_is_given_up():
    run = Run(units_of("a", "b", "c"), scripted(b=[ValueError("one"), KeyError("two"), ValueError("three")]))()
    assert run.given_up == {"b": "ValueError: three"}
    assert run.committed == ["a", "c"]
    assert len(run.tasks("b")) == 3


def test_our_own_errors_keep_their_text():
    run = Run(units_of("a"), scripted(a=[LensscanError("unit a: no such tile")] * 3))()
    assert run.given_up == {"a": "unit a: no such tile"}


def test_a_unit_may_fail_twice():
    run = Run(units_of("a"), scripted(a=[ValueError("one"), ValueError("two")]))()
    assert (run.committed, run.given_up) == (["a"], {})


def test_each_failure_is_logged_with_its_unit_kind_and_reason(caplog):
    Run(units_of("a"), scripted(a=[MemoryError("no room")]))()
    assert [record.getMessage() for record in caplog.records] == ["tile a: out of memory (MemoryError: no room)"]


def test_the_log_of_a_store_failure_quotes_the_store(caplog):
    refusal = TransientError("8 of 8 rows cannot be read now, the first: io_error: VIS: SlowDown (HTTP 503)")
    Run(units_of("a"), scripted(a=[AWAY, refusal]))()
    assert [record.getMessage() for record in caplog.records] == [
        "tile a: the store failed (no route to the store)",
        f"tile a: the store failed ({refusal})",
    ]


def test_a_failing_store_pauses_the_run():
    run = Run(units_of("a", "b"), scripted(a=[AWAY] * 9, b=[AWAY] * 9))()
    assert sorted(run.committed) == ["a", "b"]
    assert run.given_up == {}
    # The third of 18 failures opens the back-off, the fourth was in flight already; a pause comes before each later try.
    assert run.clock.sleeps == [2.0, 4.0, 8.0, 16.0, 32.0, *[60.0] * 10]
    # The dispatcher never sleeps while a call runs.
    assert set(run.n_busy_at_pauses) == {0}


def test_one_unit_at_a_time_probes_a_failing_store():
    run = Run(units_of(*"abcdefgh"), scripted(**{name: [AWAY] for name in "abcdefgh"}))()
    assert len(run.committed) == 8
    # Four are started before the third has failed; the four others and the first of the second round come alone.
    assert [started.n_beside for started in run.pool.started] == [0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]
    assert run.clock.sleeps == [2.0, 4.0, 8.0, 16.0, 32.0]


@pytest.mark.parametrize(("n_failures", "pauses"), [(2, []), (3, [1.0])])
def test_the_third_store_failure_in_a_row_pauses_the_run(n_failures, pauses):
    run = Run(units_of("a"), scripted(a=[AWAY] * n_failures))()
    assert (run.committed, run.clock.sleeps) == (["a"], pauses)


def test_a_survived_trial_shows_that_the_store_works():
    ends = [CallFailure.DIED, CallFailure.DIED, CallFailure.DIED, AWAY, AWAY, None, AWAY, AWAY]
    run = Run(units_of("a"), scripted(a=ends))()
    rows = [()] * 3 + [(0, 1, 2, 3)] * 3 + [(4, 5), (6,), (7,), None]
    assert [task.rows.read for task in run.tasks("a")][3:] == rows
    assert run.clock.sleeps == []


def test_only_store_failures_pause_the_run():
    run = Run(units_of("a", "b", "c"), scripted(**{name: [ValueError("bad")] * 2 for name in "abc"}))()
    assert len(run.committed) == 3
    assert run.clock.sleeps == []


OTHERS = {f"u{i}": [MemoryError()] * i for i in range(7)}
"""Units that commit one per round: `u0` at the first try, `u6` at the seventh."""


def test_a_unit_with_six_store_failures_is_given_up():
    run = Run(units_of("x", *OTHERS), scripted(x=[AWAY] * 6, **OTHERS))()
    assert run.given_up == {"x": "no route to the store"}
    assert sorted(run.committed) == sorted(OTHERS)
    assert run.clock.sleeps == []
    assert Run(units_of("x", *OTHERS), scripted(x=[AWAY] * 5, **OTHERS))().given_up == {}


@pytest.mark.parametrize("n_good", [6, 20])
@pytest.mark.parametrize("good_s", [5.0, 300.0])
def test_a_unit_that_fails_among_slow_ones_is_given_up(n_good, good_s):
    """Its own failures open the back-off repeatedly, which is not an outage."""
    good = [f"u{i}" for i in range(n_good)]
    answer = scripted(x=itertools.repeat(AWAY))

    def seconds(call):
        name = call.arguments[0].unit_id
        # The good units do not end together, because x alone would look like an outage.
        return 0.1 if name == "x" else good_s * (1 + good.index(name))

    run = Run(units_of("x", *good), answer, in_flight=4, seconds=seconds)()
    assert list(run.given_up) == ["x"]
    assert sorted(run.committed) == sorted(good)


def test_failures_during_an_outage_do_not_count_later():
    away = {name: [AWAY] * 2 + OTHERS.get(name, [AWAY] * 4) for name in (*OTHERS, "x")}
    run = Run(units_of(*away), scripted(**away))()
    assert run.given_up == {}
    assert len(run.committed) == len(away)
    # The outage has 16 failures: the third opens the back-off and the fourth was in flight; the last four come alone.
    assert len(run.clock.sleeps) == 13


def test_two_units_that_fail_together_show_an_outage():
    """Both fail five times; once one is committed, the other fails twice more, which is less than six times."""
    run = Run(units_of("a", "b"), scripted(a=[AWAY] * 7, b=[AWAY] * 5))()
    assert run.given_up == {}
    assert run.committed == ["b", "a"]


def test_an_outage_longer_than_patience_ends_the_run():
    run = Run(units_of("a", "b"), scripted(a=itertools.repeat(AWAY), b=itertools.repeat(AWAY)))
    with pytest.raises(StorageError, match=r"the store has failed for 9\d\d s, .*: no route to the store"):
        run()
    assert run.given_up == {}


class Lethal:
    """Rows, by unit and number, that kill the worker that reads them; with `None`, reading any of the unit's files does."""

    def __init__(self, n_rows, **rows):
        self._n_rows, self._rows = n_rows, rows

    def __call__(self, call):
        (task,) = call.arguments
        lethal = self._rows.get(task.unit_id, ())
        if lethal is None or read_of(task, self._n_rows) & set(lethal):
            return CallFailure.DIED
        return None if task.is_trial else receipt_of(task)


def test_a_row_that_kills_is_found_and_left_out():
    run = Run(units_of("a", "b"), Lethal(8, a=[5]))()
    assert sorted(run.committed) == ["a", "b"]
    assert run.given_up == {}
    first, second, third, *trials, last = run.tasks("a")
    assert (first, second, third) == (commit("a", 64), commit("a", 16, is_alone=True), commit("a", 4, is_alone=True))
    # The trials are the files, the halves, and twice the row alone.
    assert trials == [trial("a", 1, rows) for rows in [(), (0, 1, 2, 3), (4, 5), (4,), (5,), (5,)]]
    assert last == commit("a", 1, (5,), is_alone=True)
    methods = [started.method for started in run.pool.started if started.task.unit_id == "a"]
    assert methods == ["scan"] * 3 + ["try_rows"] * 6 + ["scan"]
    assert run.pool.n_lost == 3 + 3


def test_a_death_with_several_units_starts_no_row_search():
    run = Run(units_of("a", "b", "c", "d"), Lethal(8, b=[0]))()
    assert sorted(run.committed) == ["a", "b", "c", "d"]
    # `c` runs together with `b`, dies with it, and succeeds at its second try, alone.
    assert run.tasks("c") == [commit("c", 64), commit("c", 16, is_alone=True)]
    assert run.tasks("a") == [commit("a", 64)]
    assert run.tasks("d") == [commit("d", 64)]
    assert crashed_of(run.tasks("b")[-1]) == (0,)


def test_only_a_suspect_unit_runs_alone():
    run = Run(units_of("a", "b", "c"), scripted(a=[CallFailure.DIED]))()
    by_task = [(started.task.unit_id, started.task.is_alone, started.n_beside) for started in run.pool.started]
    assert by_task == [("a", False, 0), ("b", False, 1), ("c", False, 0), ("a", True, 0), ("b", True, 0)]


def test_a_unit_whose_files_kill_is_given_up_whole():
    run = Run(units_of("a", "b"), Lethal(8, a=None))()
    assert run.committed == ["b"]
    assert run.given_up == {"a": "it kills workers, and no single row is the cause"}
    assert {crashed_of(task) for task in run.tasks("a")} == {()}


def test_a_deadline_depends_on_rows_and_bytes():
    files = {
        "catalogue": InputFile(uri="/c", size=1_000_000, etag="1"),
        "VIS": InputFile(uri="/v", size=2_500_000, etag="2"),
    }
    unit = unit_of("a", range(100)).model_copy(update={"files": files})
    assert unit_deadline_s(unit) == 600 + 50 + 3.5
