"""Decide the next try of a unit from its failures so far: from a plain second try to a search for the row that kills."""

from dataclasses import dataclass
from enum import StrEnum

from scanner.scan.row_selection import ALL_ROWS, RowSelection
from scanner.vocabulary.rejections import RejectCode, Rejection
from scanner.workers.crash_bisection import CrashBisection

MAX_TRIES = 3
"""Number of tries of a unit that raises, hangs, or has too little memory for batches of one row."""
MAX_CRASHES_ALONE = 2
"""Crashes of a unit running alone before its rows are searched for the cause; 1 after a first such row was found."""
MAX_CRASHING_ROWS = 16
"""Largest number of rows of a unit that are rejected for crashes; if more rows crash, the cause is not in the rows."""
MAX_SEARCHES_IN_VAIN = 2
_BATCH_DIVISOR = 4
CRASHED = Rejection(RejectCode.WORKER_CRASH, "scoring this row crashed several workers, the last one with no other unit")
"""Rejection of the rows that crash workers."""


class Failure(StrEnum):
    """Kinds of failure of a try of a unit."""

    STORE = "store"
    """The store failed, so another try may succeed as soon as it answers."""
    RAISED = "raised"
    CRASHED = "crashed"
    """The worker crashed, because of this unit or another that it held."""
    CRASHED_ALONE = "crashed_alone"
    """The worker crashed while it held no other unit."""
    OUT_OF_MEMORY = "out_of_memory"
    OVERDUE = "overdue"
    """The worker held no other unit and took too long, so it was killed."""
    KILLED_WITH_NEIGHBOUR = "killed_with_neighbour"
    """One of the units that the worker held took too long, so it was killed."""
    LOST = "lost"
    """The worker was lost with its node."""


@dataclass(frozen=True)
class Task:
    """Task of a worker: commit a unit, or only score some of its rows to test whether the worker survives."""

    unit_id: str
    batch_size: int
    rows: RowSelection = ALL_ROWS
    """Rows to score, and rows to reject because they crashed workers, among those that the plan scores."""
    is_alone: bool = False
    """Whether the worker must hold no other unit."""
    is_trial: bool = False
    """Whether to score the rows without committing the unit; with no rows to score, the worker reads the files."""


class RetryState:
    """State of one unit between tries."""

    def __init__(self, unit_id: str, n_rows: int, batch_size: int) -> None:
        self._unit_id, self._n_rows, self._batch_size = unit_id, n_rows, batch_size
        self._failures: dict[Failure, int] = {}
        self._crashing: set[int] = set()
        """Rows that crashed workers, and that are rejected."""
        self._search: CrashBisection | None = None
        self._n_searches_in_vain = 0
        self.is_suspect = False
        self._n_lost = 0
        self._n_crashes_alone = 0
        self.is_given_up = False
        self.reason = ""
        """Reason for giving the unit up, if it is more than the last error."""

    def task(self) -> Task:
        """Return the next task."""
        if self._search is not None:
            rows = RowSelection(read=tuple(self._kept()[slice(*self._search.trial)]))
            return Task(self._unit_id, self._batch_size, rows, is_alone=True, is_trial=True)
        rows = RowSelection(rejected=dict.fromkeys(sorted(self._crashing), CRASHED)) if self._crashing else ALL_ROWS
        return Task(self._unit_id, self._batch_size, rows, is_alone=self.is_suspect)

    def _kept(self) -> list[int]:
        """Return the numbers of the rows that are not rejected yet; a search counts among these."""
        return [row for row in range(self._n_rows) if row not in self._crashing]

    def survived_trial(self) -> None:
        """Record that the worker survived the last task's trial."""
        self._go_on(crashed=False)

    def failed(self, failure: Failure) -> None:
        """Record that the last task failed; afterwards `task` returns another task, or `is_given_up` is true."""
        if failure is Failure.LOST:
            # Ray may also report a worker as lost that the unit killed, if Ray's head node is too busy.
            self._n_lost += 1
            self.is_suspect |= self._n_lost >= MAX_TRIES
            return
        if failure is Failure.KILLED_WITH_NEIGHBOUR:
            self.is_suspect = True
        elif failure is Failure.OUT_OF_MEMORY and self._batch_size > 1:
            self._use_less_memory()
        elif failure is Failure.OUT_OF_MEMORY and not self.is_suspect:
            # It may have been the memory of another unit on the same worker.
            self.is_suspect = True
        elif failure is Failure.CRASHED_ALONE and self._search is not None:
            self._go_on(crashed=True)
        else:
            self._count_one(failure)

    def _count_one(self, failure: Failure) -> None:
        self._failures[failure] = self._count(failure) + 1
        if failure in {Failure.RAISED, Failure.OVERDUE, Failure.OUT_OF_MEMORY}:
            self.is_given_up = self._count(failure) >= MAX_TRIES
        elif failure is not Failure.STORE:
            self._count_crash(alone=failure is Failure.CRASHED_ALONE)

    def _count_crash(self, *, alone: bool) -> None:
        self.is_suspect = True
        # The kernel kills a process that takes the last memory without reporting the reason.
        self._use_less_memory()
        self._n_crashes_alone += alone
        if self._n_crashes_alone >= (1 if self._crashing else MAX_CRASHES_ALONE):
            self._n_crashes_alone = 0
            self._search = CrashBisection(0, self._n_rows - len(self._crashing))

    def _use_less_memory(self) -> None:
        self._batch_size = max(1, self._batch_size // _BATCH_DIVISOR)

    @property
    def n_store_failures(self) -> int:
        return self._count(Failure.STORE)

    def forget_store_failures(self) -> None:
        """Count store failures from zero again, because the earlier ones were an outage."""
        self._failures.pop(Failure.STORE, None)

    def _go_on(self, *, crashed: bool) -> None:
        search = self._search
        if search is None:
            return
        result = search.after(crashed=crashed)
        if isinstance(result, CrashBisection):
            self._search = result
            return
        self._search, self._failures = None, {}
        if result is None:
            self._n_searches_in_vain += 1
        else:
            self._crashing.add(self._kept()[result])
        # If every row kills, the cause is not in the rows.
        n_allowed = min(MAX_CRASHING_ROWS, max(self._n_rows - 1, 0))
        self.is_given_up = self._n_searches_in_vain >= MAX_SEARCHES_IN_VAIN or len(self._crashing) > n_allowed
        if self.is_given_up:
            self.reason = "it kills workers, and no single row is the cause"

    def _count(self, failure: Failure) -> int:
        return self._failures.get(failure, 0)
