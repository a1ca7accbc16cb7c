"""Actors that are replaced when they die, and calls that always end: with a result, or with what went wrong."""

import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import ray
from ray.exceptions import ActorUnschedulableError, OutOfMemoryError, RayActorError, RayError, RaySystemError, RayTaskError

from infra.cluster import ClusterError, last_line

MAX_DEATHS_IN_A_ROW = 60
"""Actors that die one after the other without a single answer: something is wrong with all of them."""
_SETTLE_S = 5.0
"""For calls of an actor that has died to say so."""


_EXIT_TYPE = re.compile(r"Worker exit type: (\w+)")
"""In Ray's account of a dead actor, which goes on with everything that could have been the cause."""


class Trouble(StrEnum):
    """How a call ended other than with a result."""

    RAISED = "raised"
    """The method raised; the actor lives."""
    DIED = "died"
    """The actor's process ended, of this call or of another that it held."""
    OUT_OF_MEMORY = "out_of_memory"
    OVERDUE = "overdue"
    """It ran longer than allowed, so its actor was killed."""
    DISTURBED = "disturbed"
    """The actor was killed because another call was overdue."""


@dataclass(frozen=True)
class Call:
    """A method call that any actor of a pool may answer."""

    method: str
    arguments: tuple[Any, ...]
    deadline_s: float
    """From when the actor has nothing older to do."""
    is_alone: bool = False
    """Give it to an actor that does nothing else meanwhile: if that dies, it died of this."""


@dataclass(frozen=True)
class Ended:
    """A call that is over."""

    call: Call
    result: Any = None
    trouble: Trouble | None = None
    error: BaseException | None = None
    """What the method raised, or what Ray says of a dead actor."""


@dataclass
class _Slot:
    """An actor and the calls it holds, oldest first."""

    actor: Any
    running: dict[Any, Call] = field(default_factory=dict)
    busy_since: float = 0.0
    """When its oldest call became the oldest."""

    @property
    def is_taken(self) -> bool:
        return any(call.is_alone for call in self.running.values())


class ActorPool:
    """Submit calls, then ask for what has ended, in any order; more may be submitted meanwhile."""

    def __init__(self, make_actor: Callable[[], Any], n_actors: int, in_flight: int) -> None:
        """Start the actors.

        Args:
            make_actor: Starts one.
            n_actors: To keep alive.
            in_flight: Calls that an actor holds at most.
        """
        if n_actors < 1 or in_flight < 1:
            raise ValueError(f"n_actors and in_flight must be >= 1, got {n_actors} and {in_flight}")
        self._make_actor, self._in_flight = make_actor, in_flight
        self._slots = [_Slot(make_actor()) for _ in range(n_actors)]
        self._waiting: deque[Call] = deque()
        self._ended: deque[Ended] = deque()
        self._deaths_in_a_row = 0
        self.n_lost = 0
        """Actors that died or had to be killed."""

    def submit(self, call: Call) -> None:
        """Give a call to an actor as soon as one is free."""
        self._waiting.append(call)

    @property
    def n_open(self) -> int:
        """Calls that wait, run, or have ended and were not asked for."""
        return len(self._waiting) + self.n_busy

    @property
    def n_busy(self) -> int:
        """Calls that run, or have ended and were not asked for."""
        return self._n_running + len(self._ended)

    @property
    def _n_running(self) -> int:
        return sum(len(slot.running) for slot in self._slots)

    def next_ended(self, *, at_most: int | None = None) -> Ended | None:
        """Wait for a call to end; None where none is open. With `at_most`, no call is started while so many run.

        Raises:
            ClusterError: actors cannot be started, die one after the other, or Ray is gone.
        """
        while not self._ended:
            self._start_waiting(at_most)
            if not self._n_running:
                return None
            self._wait()
        return self._ended.popleft()

    def close(self) -> None:
        """Kill all actors, whatever they do."""
        for slot in self._slots:
            ray.kill(slot.actor)

    def _start_waiting(self, at_most: int | None) -> None:
        while self._waiting and (at_most is None or self._n_running < at_most):
            slot = min(self._slots, key=lambda slot: (slot.is_taken, len(slot.running)))
            room = 1 if self._waiting[0].is_alone else self._in_flight
            # A call that must be alone waits for an actor to fall idle: nothing is started before it.
            if len(slot.running) >= room or slot.is_taken:
                return
            self._start(slot, self._waiting.popleft())

    def _start(self, slot: _Slot, call: Call) -> None:
        if not slot.running:
            slot.busy_since = time.monotonic()
        slot.running[getattr(slot.actor, call.method).remote(*call.arguments)] = call

    def _wait(self) -> None:
        slots = {ref: slot for slot in self._slots for ref in slot.running}
        overdue_at = min(_overdue_at(slot) for slot in self._slots if slot.running)
        try:
            ready, _ = ray.wait(list(slots), num_returns=1, timeout=max(overdue_at - time.monotonic(), 0))
        except RaySystemError as error:
            raise ClusterError(f"Ray is gone: {last_line(error)}") from error
        if ready:
            self._finish(slots[ready[0]], ready[0])
            return
        for slot in [slot for slot in self._slots if slot.running and time.monotonic() >= _overdue_at(slot)]:
            self._kill_overdue(slot)

    def _finish(self, slot: _Slot, ref: Any) -> None:
        ended = _result(slot.running[ref], ref)
        if ended.trouble in {None, Trouble.RAISED}:
            self._deaths_in_a_row = 0
            was_oldest = next(iter(slot.running)) == ref
            del slot.running[ref]
            if was_oldest:
                slot.busy_since = time.monotonic()
            self._ended.append(ended)
            return
        self._bury(slot, [_result(call, other, _SETTLE_S) for other, call in slot.running.items()])

    def _kill_overdue(self, slot: _Slot) -> None:
        ray.kill(slot.actor)
        oldest, *others = slot.running.values()
        error = ClusterError(f"{oldest.method} took longer than the {oldest.deadline_s:g} s that are allowed")
        disturbed = [Ended(call, trouble=Trouble.DISTURBED, error=error) for call in others]
        self._bury(slot, [Ended(oldest, trouble=Trouble.OVERDUE, error=error), *disturbed])

    def _bury(self, slot: _Slot, ended: list[Ended]) -> None:
        """Replace an actor that is dead or held for dead; what it still does is the caller's business to make harmless."""
        self._ended.extend(ended)
        self.n_lost += 1
        self._deaths_in_a_row += 1
        if self._deaths_in_a_row >= MAX_DEATHS_IN_A_ROW:
            raise ClusterError(f"{self._deaths_in_a_row} workers died one after the other, the last: {ended[0].error}")
        ray.kill(slot.actor)
        slot.actor, slot.running = self._make_actor(), {}


def _overdue_at(slot: _Slot) -> float:
    return slot.busy_since + next(iter(slot.running.values())).deadline_s


def _result(call: Call, ref: Any, timeout_s: float | None = None) -> Ended:
    try:
        return Ended(call, ray.get(ref, timeout=timeout_s))
    except (OutOfMemoryError, MemoryError) as error:
        return Ended(call, trouble=Trouble.OUT_OF_MEMORY, error=ClusterError(last_line(error)))
    except RayTaskError as error:
        cause = error.cause
        trouble = Trouble.OUT_OF_MEMORY if isinstance(cause, MemoryError) else Trouble.RAISED
        return Ended(call, trouble=trouble, error=cause)
    except ActorUnschedulableError as error:
        raise ClusterError(f"no worker can be started: {last_line(error)}") from error
    except RayActorError as error:
        if error.actor_init_failed:
            raise ClusterError(f"no worker can be started: {last_line(error)}") from error
        trouble = Trouble.OUT_OF_MEMORY if "out of memory" in str(error).replace("_", " ").lower() else Trouble.DIED
        kind = _EXIT_TYPE.search(str(error))
        return Ended(call, trouble=trouble, error=ClusterError(f"its worker died: {kind[1] if kind else last_line(error)}"))
    except RayError as error:
        return Ended(call, trouble=Trouble.DIED, error=ClusterError(last_line(error)))
