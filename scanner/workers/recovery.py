"""Decide the next try of a unit from its failures so far: from a plain second try to a search for the row that kills."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from scanner.workers.row_search import RowSearch

MAX_TRIES = 3
"""Number of tries of a unit that raises, hangs, or has too little memory for batches of one row."""
MAX_DEATHS_ALONE = 2
"""Crashes of a unit running alone before its rows are searched for the cause; 1 after a first such row was found."""
MAX_ROWS_LEFT_OUT = 16
"""Largest number of rows of a unit that are rejected for crashes; if more rows crash, the cause is not in the rows."""
MAX_SEARCHES_IN_VAIN = 2
_BATCH_DIVISOR = 4


class Failure(StrEnum):
    """Kinds of failure of a try of a unit."""

    STORE = "store"
    """The store failed, so another try may succeed as soon as it answers."""
    RAISED = "raised"
    DIED = "died"
    """The worker died because of this unit or of another that it held."""
    DIED_ALONE = "died_alone"
    """The worker died while it held no other unit."""
    OUT_OF_MEMORY = "out_of_memory"
    OVERDUE = "overdue"
    """The worker held no other unit and took too long, so it was killed."""
    DISTURBED = "disturbed"
    """One of the units that the worker held took too long, so it was killed."""
    LOST = "lost"
    """The worker was lost with its node."""


@dataclass(frozen=True)
class Task:
    """Task of a worker: commit a unit, or only score some of its rows to test whether the worker survives."""

    unit_id: str
    batch_size: int
    left_out: tuple[int, ...] = ()
    """Numbers of the rows that are rejected without being read."""
    is_alone: bool = False
    """Whether the worker must hold no other unit."""
    trial: tuple[int, int] | None = None
    """Start and stop of the rows to score, counted among those not left out; None to commit the unit."""


class UnitRecovery:
    """State of one unit between tries."""

    def __init__(self, unit_id: str, n_rows: int, batch_size: int) -> None:
        self._unit_id, self._n_rows, self._batch_size = unit_id, n_rows, batch_size
        self._failures: dict[Failure, int] = {}
        self._left_out: list[int] = []
        self._search: RowSearch | None = None
        self._n_searches_in_vain = 0
        self.is_suspect = False
        self._n_lost = 0
        self._n_deaths_alone = 0
        self.is_given_up = False
        self.verdict = ""
        """Reason for giving the unit up, if it is more than the last error."""

    def task(self) -> Task:
        """Return the next task."""
        left_out = tuple(sorted(self._left_out))
        if self._search is not None:
            return Task(self._unit_id, self._batch_size, left_out, is_alone=True, trial=self._search.trial)
        return Task(self._unit_id, self._batch_size, left_out, is_alone=self.is_suspect)

    def survived_trial(self) -> None:
        """Record that the worker survived the last task's trial."""
        self._go_on(died=False)

    def failed(self, failure: Failure) -> None:
        """Record that the last task failed; afterwards `task` returns another task, or `is_given_up` is true."""
        if failure is Failure.LOST:
            # Ray may also report a worker as lost that the unit killed, if Ray's head node is too busy.
            self._n_lost += 1
            self.is_suspect |= self._n_lost >= MAX_TRIES
            return
        if failure is Failure.DISTURBED:
            self.is_suspect = True
        elif failure is Failure.OUT_OF_MEMORY and self._batch_size > 1:
            self._use_less_memory()
        elif failure is Failure.OUT_OF_MEMORY and not self.is_suspect:
            # It may have been the memory of another unit on the same worker.
            self.is_suspect = True
        elif failure is Failure.DIED_ALONE and self._search is not None:
            self._go_on(died=True)
        else:
            self._count_one(failure)

    def _count_one(self, failure: Failure) -> None:
        self._failures[failure] = self._count(failure) + 1
        if failure in {Failure.RAISED, Failure.OVERDUE, Failure.OUT_OF_MEMORY}:
            self.is_given_up = self._count(failure) >= MAX_TRIES
        elif failure is not Failure.STORE:
            self._died(alone=failure is Failure.DIED_ALONE)

    def _died(self, *, alone: bool) -> None:
        self.is_suspect = True
        # The kernel kills a process that takes the last memory without reporting the reason.
        self._use_less_memory()
        self._n_deaths_alone += alone
        if self._n_deaths_alone >= (1 if self._left_out else MAX_DEATHS_ALONE):
            self._n_deaths_alone = 0
            self._search = RowSearch(0, self._n_rows - len(self._left_out))

    def _use_less_memory(self) -> None:
        self._batch_size = max(1, self._batch_size // _BATCH_DIVISOR)

    @property
    def n_store_failures(self) -> int:
        return self._count(Failure.STORE)

    def forget_store_failures(self) -> None:
        """Count store failures from zero again, because the earlier ones were an outage."""
        self._failures.pop(Failure.STORE, None)

    def _go_on(self, *, died: bool) -> None:
        search = self._search
        if search is None:
            return
        found = search.after(died=died)
        if isinstance(found, RowSearch):
            self._search = found
            return
        self._search, self._failures = None, {}
        if found is None:
            self._n_searches_in_vain += 1
        else:
            self._left_out.append(nth_kept(found, self._left_out))
        # If every row kills, the cause is not in the rows.
        n_allowed = min(MAX_ROWS_LEFT_OUT, max(self._n_rows - 1, 0))
        self.is_given_up = self._n_searches_in_vain >= MAX_SEARCHES_IN_VAIN or len(self._left_out) > n_allowed
        if self.is_given_up:
            self.verdict = "the unit kills workers, and no single row is the cause"

    def _count(self, failure: Failure) -> int:
        return self._failures.get(failure, 0)


def nth_kept(n: int, left_out: Sequence[int]) -> int:
    """Return the number in the unit of the `n`-th row, from 0, among those that are not left out."""
    place = n
    for left in sorted(left_out):
        place += left <= place
    return place
