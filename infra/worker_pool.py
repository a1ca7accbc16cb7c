"""A pool that replaces workers when they die; every call ends, with a result or with the reason of its failure.

The pools of Ray actors and of local processes are subclasses; they start workers, call them and wait for them.
"""

import logging
import math
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.calls import Call, CallFailure, CallResult
from infra.errors import ClusterError, LensscanError
from infra.infrastructure_errors import is_infrastructure

MAX_DEATHS_IN_A_ROW = 60
"""Largest number of worker deaths in a row without a single answer; beyond it, all workers are taken to be broken."""
MAX_FAILED_STARTS = 3
"""Failed starts in a row before the pool continues with one worker fewer.

As long as no worker has run, one start that raises is enough.
"""
START_S = 600.0
"""Time within which at least one worker must be placed and have loaded its data, in seconds."""
ASK_EVERY_S = 1.0
"""Interval at which workers are asked how far they are, in seconds; longer for more than a hundred workers."""
_SETTLE_S = 5.0
"""Time for the other calls of a dead worker to report its death, in seconds."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class FailedStart:
    """The reason why a worker does not run."""

    error: BaseException
    text: str
    """The cause in one line."""
    is_own: bool
    """Whether the worker's own start failed, or its resources do not exist; if not, it died while it started."""


@dataclass
class _Slot:
    """A worker and its calls, oldest first. It gets calls only once it runs: it may have to wait for room on a cluster."""

    worker: Any
    starting: Any
    """Reference that becomes ready as soon as the worker runs; None from then on."""
    since: float
    """Time at which the worker was requested, or at which its oldest call became the oldest (`time.monotonic`)."""
    running: dict[Any, Call] = field(default_factory=dict)
    asked: Any = None
    """Reference to the answer to a question, as long as it is not there."""
    answer: Any = None
    """Last answer, None before the first one."""

    @property
    def is_taken(self) -> bool:
        return any(call.is_alone for call in self.running.values())

    @property
    def overdue_at(self) -> float:
        return self.since + next(iter(self.running.values())).deadline_s


class WorkerPool(ABC):
    """Submit calls, then take them as they end, in any order; more calls may be submitted meanwhile."""

    def __init__(self, n_workers: int, in_flight: int) -> None:
        """Start the workers.

        Args:
            n_workers: Number of workers to keep alive.
            in_flight: Largest number of calls that a worker holds.

        Raises:
            ClusterError: Ray is gone.
            ValueError: `n_workers` or `in_flight` is below 1.
        """
        if n_workers < 1 or in_flight < 1:
            raise ValueError(f"the numbers of workers and of calls in flight must be >= 1, got {n_workers} and {in_flight}")
        self._in_flight = in_flight
        self._slots = [self._new_slot() for _ in range(n_workers)]
        self._waiting: deque[Call] = deque()
        self._results: deque[CallResult] = deque()
        self._has_run = False
        self._failed_starts = self._deaths_in_a_row = 0
        self.n_lost = 0
        """Number of workers that died or that the pool killed."""
        self._question = ""
        self._on_answers: Callable[[list[Any]], None] = _ignore
        self._ask_at = math.inf

    @property
    @abstractmethod
    def _no_start(self) -> str:
        """The likely reason why no worker starts in time."""

    @abstractmethod
    def _start_worker(self) -> tuple[Any, Any]:
        """Return a new worker, and a reference that becomes ready as soon as it runs or has failed to start."""

    @abstractmethod
    def _begin(self, worker: Any, call: Call) -> Any:
        """Give a worker a call, and return a reference that becomes ready when the call ends."""

    @abstractmethod
    def _first_ready(self, references: Sequence[Any], timeout_s: float | None) -> Any | None:
        """Return a reference that is ready; None if none becomes ready in time."""

    @abstractmethod
    def _failed_start(self, reference: Any) -> FailedStart | None:
        """Return why a worker does not run, from its first reference, which is ready; None if it runs."""

    @abstractmethod
    def _result(self, call: Call, reference: Any, timeout_s: float | None = None) -> CallResult:
        """Return the end of a call; wait for it at most `timeout_s`."""

    @abstractmethod
    def _kill(self, worker: Any) -> None:
        """Kill a worker, which may be dead already."""

    def submit(self, call: Call) -> None:
        """Queue a call; it runs as soon as a worker is free."""
        self._waiting.append(call)

    @property
    def n_open(self) -> int:
        """Number of calls that wait, run, or have ended and were not taken yet."""
        return len(self._waiting) + self.n_busy

    @property
    def n_busy(self) -> int:
        """Number of calls that run, or have ended and were not taken yet."""
        return self._n_running + len(self._results)

    @property
    def _n_running(self) -> int:
        return sum(len(slot.running) for slot in self._slots)

    def next_result(self, *, at_most: int | None = None) -> CallResult | None:
        """Wait for a call to end; None if no call is open. With `at_most`, no call is started while that many run.

        Raises:
            ClusterError: workers cannot be started, die one after the other, or Ray is gone.
        """
        while not self._results:
            if not self.n_open:
                return None
            self._start_waiting(at_most)
            self._wait()
        return self._results.popleft()

    def watch(self, method: str, on_answers: Callable[[list[Any]], None]) -> None:
        """While `next_result` waits, ask a method of each running worker again and again, and pass on their last answers.

        The method is called beside the `in_flight` calls, so that a worker needs a thread more. A worker that does not answer
        is asked no second time, and fails nothing.
        """
        self._question, self._on_answers, self._ask_at = method, on_answers, time.monotonic() + ASK_EVERY_S

    def close(self) -> None:
        """Kill all workers, even those with running calls."""
        for slot in self._slots:
            self._kill(slot.worker)

    def _new_slot(self) -> _Slot:
        return _Slot(*self._start_worker(), time.monotonic())

    def _start_waiting(self, at_most: int | None) -> None:
        ready = [slot for slot in self._slots if slot.starting is None]
        # One call is reserved for each worker that is still starting, so that a few calls are spread over all workers.
        n_kept = len(self._slots) - len(ready)
        while ready and self._waiting and (at_most is None or self._n_running < at_most):
            slot = min(ready, key=lambda slot: (slot.is_taken, len(slot.running)))
            room = 1 if self._waiting[0].is_alone or len(self._waiting) <= n_kept else self._in_flight
            # A call that must run alone waits for a worker to become idle: no other call is started before it.
            if len(slot.running) >= room or slot.is_taken:
                return
            self._start(slot, self._waiting.popleft())

    def _start(self, slot: _Slot, call: Call) -> None:
        if not slot.running:
            slot.since = time.monotonic()
        slot.running[self._begin(slot.worker, call)] = call

    def _wait(self) -> None:
        slots = {ref: slot for slot in self._slots for ref in slot.running}
        slots |= {slot.starting: slot for slot in self._slots if slot.starting is not None}
        slots |= {slot.asked: slot for slot in self._slots if slot.asked is not None}
        until = math.inf if (patient := self._patient_until()) is None else patient
        timeout_s = max(min(until, self._ask_at) - time.monotonic(), 0)
        ready = self._first_ready(list(slots), None if math.isinf(timeout_s) else timeout_s)
        if ready is not None and ready == slots[ready].starting:
            self._on_started(slots[ready])
        elif ready is not None and ready == slots[ready].asked:
            self._on_answer(slots[ready])
        elif ready is not None:
            self._finish(slots[ready], ready)
        elif time.monotonic() >= self._ask_at:
            self._ask()
        elif time.monotonic() >= until and all(slot.starting is not None for slot in self._slots):
            raise ClusterError(f"no worker could be started for {START_S:g} s: {self._no_start}")
        else:
            for slot in [slot for slot in self._slots if slot.running and time.monotonic() >= slot.overdue_at]:
                self._kill_overdue(slot)

    def _ask(self) -> None:
        self._ask_at = time.monotonic() + max(ASK_EVERY_S, len(self._slots) / 100)
        for slot in self._slots:
            if slot.starting is None and slot.asked is None:
                slot.asked = self._begin(slot.worker, Call(self._question, (), math.inf))

    def _on_answer(self, slot: _Slot) -> None:
        result = self._result(Call(self._question, (), math.inf), slot.asked)
        slot.asked = None
        if result.failure is None:
            slot.answer = result.value
            self._on_answers([slot.answer for slot in self._slots if slot.answer is not None])

    def _patient_until(self) -> float | None:
        """Return the time of the next deadline; workers that wait for room on the cluster have none while others run."""
        if all(slot.starting is not None for slot in self._slots):
            return max(slot.since for slot in self._slots) + START_S
        return min((slot.overdue_at for slot in self._slots if slot.running), default=None)

    def _on_started(self, slot: _Slot) -> None:
        failed = self._failed_start(slot.starting)
        if failed is None:
            slot.starting, self._has_run, self._failed_starts = None, True, 0
            return
        if all(other.starting is not None for other in self._slots) and not failed.is_own:
            # The worker was killed, or lost with its node, during its start, and no other worker runs.
            self._count_death(failed.error)
            self._replace_worker(slot)
            return
        self._failed_starts += 1
        if self._failed_starts < MAX_FAILED_STARTS and (self._has_run or not failed.is_own):
            self._replace_worker(slot)
            return
        self._failed_starts = 0
        self._slots.remove(slot)
        self._kill(slot.worker)
        if not self._slots:
            raise _no_worker(failed) from failed.error
        _LOG.warning("going on with %d workers, one cannot be started: %s", len(self._slots), failed.text)

    def _finish(self, slot: _Slot, reference: Any) -> None:
        result = self._result(slot.running[reference], reference)
        if result.failure in {None, CallFailure.RAISED}:
            self._deaths_in_a_row = 0
            was_oldest = next(iter(slot.running)) == reference
            del slot.running[reference]
            if was_oldest:
                slot.since = time.monotonic()
            self._results.append(result)
            return
        self._replace_dead(slot, [self._result(call, other, _SETTLE_S) for other, call in slot.running.items()])

    def _kill_overdue(self, slot: _Slot) -> None:
        calls = list(slot.running.values())
        error = ClusterError(f"{calls[0].method} took longer than the allowed {calls[0].deadline_s:g} s")
        # If there are several calls, any of them may be the one that computes while the others wait for their turn.
        failure = CallFailure.OVERDUE if len(calls) == 1 else CallFailure.KILLED_WITH_NEIGHBOUR
        self._replace_dead(slot, [CallResult(call, failure=failure, error=error) for call in calls])

    def _replace_dead(self, slot: _Slot, results: list[CallResult]) -> None:
        """Replace a worker that is dead or taken to be dead; the caller must make harmless what the worker may still do."""
        self._results.extend(results)
        self._count_death(next((result.error for result in results if result.error is not None), None))
        self._replace_worker(slot)

    def _count_death(self, error: BaseException | None) -> None:
        self._deaths_in_a_row += 1
        if self._deaths_in_a_row >= MAX_DEATHS_IN_A_ROW:
            raise ClusterError(f"{self._deaths_in_a_row} workers died one after the other, the last: {error}")

    def _replace_worker(self, slot: _Slot) -> None:
        self.n_lost += 1
        self._kill(slot.worker)
        self._slots[self._slots.index(slot)] = self._new_slot()


def _no_worker(failed: FailedStart) -> ClusterError:
    error = ClusterError(f"no worker can be started: {failed.text}")
    # A package or a setting that a worker refuses is refused again by the next run. Ray tells only the text of such an error.
    if isinstance(failed.error, LensscanError) and not is_infrastructure(failed.error):
        error.is_infrastructure = False
    return error


def _ignore(_answers: list[Any]) -> None:
    """Do nothing."""
