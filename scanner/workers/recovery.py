"""What has gone wrong with a unit so far, and what to try next: from a mere second try to finding the row that kills."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from scanner.workers.row_search import RowSearch

MAX_TRIES = 3
"""Of a unit that raises, hangs, or finds too little memory for batches of one row."""
MAX_DEATHS_ALONE = 2
"""Workers that a unit may kill before its rows are searched for the one to blame; 1 once a first was found."""
MAX_ROWS_LEFT_OUT = 16
"""Rows of one unit that may kill a worker; more of them are no property of rows."""
MAX_SEARCHES_IN_VAIN = 2
_BATCH_DIVISOR = 4


class Failure(StrEnum):
    """How a try of a unit can fail."""

    STORE = "store"
    """The store failed: worth another try as soon as it answers."""
    RAISED = "raised"
    DIED = "died"
    """The worker did, of this unit or of another that it held."""
    DIED_ALONE = "died_alone"
    """The worker did, and it held nothing else."""
    OUT_OF_MEMORY = "out_of_memory"
    OVERDUE = "overdue"
    """The worker was killed, for it held nothing else and took too long."""
    DISTURBED = "disturbed"
    """The worker was killed because one of the units that it held took too long."""
    LOST = "lost"
    """The worker went away with its node."""


@dataclass(frozen=True)
class Task:
    """What a worker is asked to do with a unit: commit it, or only score some of its rows, to see whether that is survived."""

    unit_id: str
    batch_size: int
    left_out: tuple[int, ...] = ()
    """Places of rows that are rejected unseen."""
    is_alone: bool = False
    """The worker must hold nothing else."""
    trial: tuple[int, int] | None = None
    """First and end among the rows that are not left out."""


class UnitRecovery:
    """The state of one unit between tries."""

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
        """Why it is given up, where that is more than what went wrong last."""

    def task(self) -> Task:
        """What to try next."""
        left_out = tuple(sorted(self._left_out))
        if self._search is not None:
            return Task(self._unit_id, self._batch_size, left_out, is_alone=True, trial=self._search.trial)
        return Task(self._unit_id, self._batch_size, left_out, is_alone=self.is_suspect)

    def survived_trial(self) -> None:
        """The rows of the last task's trial kill nobody."""
        self._go_on(died=False)

    def failed(self, failure: Failure) -> None:
        """The last task failed; from now on `task` gives another, or `is_given_up` holds."""
        if failure is Failure.LOST:
            # Ray may say so of a worker that died of the unit, where the head is too busy to know.
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
        # The kernel kills whoever takes the last memory and leaves no word of it.
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
        """Count failures of the store from zero: those before were an outage."""
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
        # Where every row is to blame, none is.
        n_allowed = min(MAX_ROWS_LEFT_OUT, max(self._n_rows - 1, 0))
        self.is_given_up = self._n_searches_in_vain >= MAX_SEARCHES_IN_VAIN or len(self._left_out) > n_allowed
        if self.is_given_up:
            self.verdict = "workers die of it, and no single row is to blame"

    def _count(self, failure: Failure) -> int:
        return self._failures.get(failure, 0)


def nth_kept(n: int, left_out: Sequence[int]) -> int:
    """The place of the `n`-th row, from 0, among those that are not left out."""
    place = n
    for left in sorted(left_out):
        place += left <= place
    return place
