"""Dispatch the pending units of a plan until each is committed or given up, although workers may die and the store may fail."""

import errno
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from infra.calls import Call, CallFailure, CallResult, Pool
from infra.errors import LensscanError
from infra.progress import NamingProgress, no_progress
from infra.store.files import StoreRefusedError
from scanner.catalogue.ledger import Receipt
from scanner.catalogue.outcomes import TransientError
from scanner.catalogue.plan import Plan
from scanner.catalogue.units import MAX_EXAMPLES, Unit
from scanner.workers.retry_state import Failure, RetryState, Task
from scanner.workers.row_progress import RowProgress
from scanner.workers.run_tally import RunTally
from scanner.workers.store_backoff import StoreBackoff

START_S, ROW_S, BYTES_PER_S = 600.0, 0.5, 1e6
"""Time for start-up and per row, and reading speed, that set a unit's deadline: forty times the time of a slow core."""

MAX_STORE_FAILURES = 6
"""Store failures after which a unit is given up, if the store answers for other units."""


_LOG = logging.getLogger(__name__)
_FAILURES = {
    CallFailure.DIED: Failure.CRASHED,
    CallFailure.OUT_OF_MEMORY: Failure.OUT_OF_MEMORY,
    CallFailure.OVERDUE: Failure.OVERDUE,
    CallFailure.KILLED_WITH_NEIGHBOUR: Failure.KILLED_WITH_NEIGHBOUR,
    CallFailure.LOST: Failure.LOST,
}
_WORDS = {
    Failure.STORE: "the store failed",
    Failure.RAISED: "the scan failed",
    Failure.CRASHED: "the worker crashed",
    Failure.CRASHED_ALONE: "the worker crashed",
    Failure.OUT_OF_MEMORY: "out of memory",
    Failure.OVERDUE: "the scan takes too long",
    Failure.KILLED_WITH_NEIGHBOUR: "this scan, or another of the same worker, takes too long",
    Failure.LOST: "the worker was lost",
}
_NO_MEMORY = re.compile(r"out of memory|can(?:'t|not) allocate memory|bad[ _]alloc", re.IGNORECASE)
"""Pattern of the out-of-memory messages that torch and OpenVINO raise in exceptions other than MemoryError."""


class UnitsFailedError(LensscanError):
    """Some units could not be scanned after several tries; all others are committed."""

    def __init__(self, message: str, *, is_infrastructure: bool = False) -> None:
        super().__init__(message)
        self.is_infrastructure = is_infrastructure


@dataclass(frozen=True)
class ScanRun:
    """Result of a run over the pending units."""

    receipts: list[Receipt]
    n_workers_lost: int
    """Number of workers that died or were killed, and were replaced."""


def scan_plan(
    plan: Plan,
    todo: Sequence[Unit],
    pool: Pool,
    progress: NamingProgress = no_progress,
    backoff: StoreBackoff | None = None,
    tally: RunTally | None = None,
) -> ScanRun:
    """Scan the pending units of the plan with a pool of unit scanners, which stays open.

    `progress` counts rows, also of units that are being scanned, whose ids it gets. `tally` adds up the receipts, also those
    before an error.

    Raises:
        UnitsFailedError: some units failed repeatedly; all others are committed.
        StorageError: the store failed for longer than the patience of `backoff`, or it takes no files until a person acts.
        ClusterError: Ray is gone, or no worker can be started.
    """
    rows = RowProgress(plan.n_selected, todo, progress)
    receipts: list[Receipt] = []
    pool.watch("rows_done", rows.at_work)
    dispatch = _Dispatch(todo, plan.config.batch_size, pool, backoff or StoreBackoff())
    tally = tally or RunTally()
    try:
        for receipt in dispatch.receipts():
            receipts.append(receipt)
            tally.add(receipt)
            tally.lost(len(dispatch.given_up), pool.n_lost)
            rows.committed(receipt.unit_id)
    except StoreRefusedError as error:
        pending = {unit.unit_id for unit in todo} - {receipt.unit_id for receipt in receipts}
        raise StoreRefusedError(
            f"{error}. {_safe(plan.units, pending)}; {error.remedy} and run the same command again"
        ) from error
    finally:
        tally.lost(len(dispatch.given_up), pool.n_lost)
    if dispatch.given_up:
        # Of a unit that fails for another reason nothing is gained by a later try; of the others something is.
        raise UnitsFailedError(_given_up(dispatch.given_up, plan.units), is_infrastructure=dispatch.may_pass)
    return ScanRun(receipts, pool.n_lost)


def unit_deadline_s(unit: Unit) -> float:
    """Return the time that a unit may take before its worker counts as hung."""
    return START_S + ROW_S * unit.n_selected + sum(file.size for file in unit.files.values()) / BYTES_PER_S


class _Dispatch:
    """Dispatcher of a run, with the retry state of each unit."""

    def __init__(self, units: Sequence[Unit], batch_size: int, pool: Pool, backoff: StoreBackoff) -> None:
        self._units = {unit.unit_id: unit for unit in units}
        self._states = {unit.unit_id: RetryState(unit.unit_id, unit.n_selected, batch_size) for unit in units}
        self._pool, self._backoff = pool, backoff
        self._failing: set[str] = set()
        """Units with a store failure since the store last answered for any unit."""
        self.given_up: dict[str, str] = {}
        """Last error of each unit that was given up."""
        self.may_pass = False
        """Whether a unit was given up because the store failed; one whose worker was lost is tried again."""

    def receipts(self) -> Iterator[Receipt]:
        """Run until every unit is committed or given up; yield the receipt of each committed unit."""
        for state in self._states.values():
            self._pool.submit(self._call(state.task()))
        while self._pool.n_open:
            # Calls in flight give no new information about the store, so the pause comes only before a new try.
            if not self._pool.n_busy:
                self._backoff.wait()
            result = self._pool.next_result(at_most=1 if self._backoff.is_pausing else None)
            if result is not None and (receipt := self._after(result)) is not None:
                yield receipt

    def _call(self, task: Task) -> Call:
        method = "try_rows" if task.is_trial else "scan"
        return Call(method, (task,), unit_deadline_s(self._units[task.unit_id]), task.is_alone)

    def _after(self, result: CallResult) -> Receipt | None:
        """Record the end of a call and submit the next try of its unit; return the receipt if the unit is committed."""
        task: Task
        (task,) = result.call.arguments
        state = self._states[task.unit_id]
        if result.failure is None:
            self._backoff.worked()
            self._failing.clear()
            if not task.is_trial:
                return result.value
            state.survived_trial()
        else:
            self._failed(state, task, result)
        if state.is_given_up:
            self.given_up[task.unit_id] = state.reason or _reason(result)
            self.may_pass |= result.failure is not None and _failure(result) is Failure.STORE
        else:
            # A unit that kills workers waits until all others are done; a unit that cannot be read lets another go first.
            self._pool.submit(self._call(state.task()))
        return None

    def _failed(self, state: RetryState, task: Task, result: CallResult) -> None:
        if isinstance(result.error, StoreRefusedError):
            raise result.error
        failure = _failure(result)
        kind = self._units[task.unit_id].kind
        # Of a longer outage the back-off has told once.
        level = logging.INFO if failure is Failure.STORE and self._backoff.is_pausing else logging.WARNING
        _LOG.log(level, "%s %s: %s (%s)", kind, task.unit_id, _WORDS[failure], _reason(result), extra={"unit": task.unit_id})
        state.failed(failure)
        if failure is Failure.STORE and result.error is not None:
            self._backoff.failed(result.error, is_probe=not self._pool.n_busy)
            self._failing.add(task.unit_id)
            if not self._backoff.is_pausing:
                state.is_given_up |= state.n_store_failures >= MAX_STORE_FAILURES
            elif len(self._failing) > 1:
                # The store fails for several units, so the failure is not due to this one.
                state.forget_store_failures()


def _failure(result: CallResult) -> Failure:
    if result.failure is CallFailure.RAISED:
        return _raised(result.error)
    if result.failure is CallFailure.DIED and result.call.is_alone:
        return Failure.CRASHED_ALONE
    return _FAILURES[result.failure or CallFailure.DIED]


def _raised(error: BaseException | None) -> Failure:
    if _has_no_memory(error):
        return Failure.OUT_OF_MEMORY
    return Failure.STORE if isinstance(error, OSError | TransientError) else Failure.RAISED


def _has_no_memory(error: BaseException | None) -> bool:
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and bool(_NO_MEMORY.search(str(error))))


def _reason(result: CallResult) -> str:
    error = result.error
    return str(error) if isinstance(error, LensscanError) else f"{type(error).__name__}: {error}"


def _safe(units: Sequence[Unit], pending: set[str]) -> str:
    safe = [unit.unit_id for unit in units if unit.unit_id not in pending]
    more = ", ..." if len(safe) > MAX_EXAMPLES else ""
    names = f" ({', '.join(safe[:MAX_EXAMPLES])}{more})" if safe else ""
    return f"{len(safe)} of {len(units)} {units[0].kind}s are safe{names}"


def _given_up(given_up: dict[str, str], units: Sequence[Unit]) -> str:
    examples = "; ".join(f"{unit}: {why}" for unit, why in list(given_up.items())[:MAX_EXAMPLES])
    kind = units[0].kind
    return f"{len(given_up)} of {len(units)} {kind}s could not be scanned, the others are done: {examples}"
