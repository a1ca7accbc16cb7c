"""Calls to the workers of a pool, and how they end: with a value, or with the reason of the failure."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol


class CallFailure(StrEnum):
    """The reason why a call ended without a value."""

    RAISED = "raised"
    """The method raised; the worker still runs."""
    DIED = "died"
    """The worker's process ended, because of this call or of another that it held."""
    OUT_OF_MEMORY = "out_of_memory"
    """Ray killed the worker because its node had no memory left."""
    LOST = "lost"
    """The worker's node is gone or cannot be reached."""
    OVERDUE = "overdue"
    """The call ran alone for longer than allowed, so the pool killed its worker."""
    KILLED_WITH_NEIGHBOUR = "killed_with_neighbour"
    """The pool killed the worker because of one of the calls that it held; which one is unknown."""


@dataclass(frozen=True)
class Call:
    """A method call that any worker of a pool may answer."""

    method: str
    arguments: tuple[Any, ...]
    deadline_s: float
    """Largest run time in seconds, counted from when the worker holds no older call."""
    is_alone: bool = False
    """Give the call to a worker that holds no other call: if the worker dies, this call is the cause."""
    id: int = field(default_factory=itertools.count().__next__, init=False)
    """Number that tells this call from others with the same method and arguments."""


@dataclass(frozen=True)
class CallResult:
    """The end of a call, with the value that its method returned or with the failure."""

    call: Call
    value: Any = None
    failure: CallFailure | None = None
    error: BaseException | None = None
    """The exception that the method raised, or the reason for the worker's death."""


class Pool(Protocol):
    """Runs calls on workers: submit calls, then take them as they end; more calls may be submitted meanwhile."""

    n_lost: int
    """Number of workers that died or that the pool killed."""

    def submit(self, call: Call) -> None:
        """Queue a call; it runs as soon as a worker is free."""

    @property
    def n_open(self) -> int:
        """Number of calls that wait, run, or have ended and were not taken yet."""

    @property
    def n_busy(self) -> int:
        """Number of calls that run, or have ended and were not taken yet."""

    def next_result(self, *, at_most: int | None = None) -> CallResult | None:
        """Wait for a call to end; None if no call is open. With `at_most`, no call is started while that many run."""

    def watch(self, method: str, on_answers: Callable[[list[Any]], None]) -> None:
        """While `next_result` waits, ask a method of each running worker again and again, and pass on their last answers."""

    def close(self) -> None:
        """Kill all workers, even those with running calls."""
