"""A call to an actor and its end, with a value or with the reason of its failure."""

import itertools
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import ray
from ray.exceptions import (
    ActorUnavailableError,
    GetTimeoutError,
    NodeDiedError,
    ObjectLostError,
    OutOfMemoryError,
    RayActorError,
    RayError,
    RayTaskError,
)

from infra.ray.cluster import ClusterError, last_line

_OUT_OF_REACH = (NodeDiedError, ActorUnavailableError, GetTimeoutError, ObjectLostError)
"""Errors that Ray raises when a node may be gone and the actor's end was not observed."""
NODE_DIED, OUT_OF_MEMORY = "its node has died", "out of memory"
"""Parts of Ray's messages about dead actors, in lower case, with spaces instead of underscores."""
_EXIT_TYPE = re.compile(r"Worker exit type: (\w+)")
"""Exit type in Ray's message about a dead actor; the message goes on to list every possible cause."""


class CallFailure(StrEnum):
    """The reason why a call ended without a value."""

    RAISED = "raised"
    """The method raised; the actor still runs."""
    DIED = "died"
    """The actor's process ended, because of this call or of another that it held."""
    OUT_OF_MEMORY = "out_of_memory"
    """Ray killed the actor because its node had no memory left."""
    LOST = "lost"
    """The actor's node is gone or cannot be reached."""
    OVERDUE = "overdue"
    """The call ran alone for longer than allowed, so the pool killed its actor."""
    KILLED_WITH_NEIGHBOUR = "killed_with_neighbour"
    """The pool killed the actor because of one of the calls that it held; which one is unknown."""


@dataclass(frozen=True)
class Call:
    """A method call that any actor of a pool may answer."""

    method: str
    arguments: tuple[Any, ...]
    deadline_s: float
    """Largest run time in seconds, counted from when the actor holds no older call."""
    is_alone: bool = False
    """Give the call to an actor that holds no other call: if the actor dies, this call is the cause."""
    id: int = field(default_factory=itertools.count().__next__, init=False)
    """Number that tells this call from others with the same method and arguments."""


@dataclass(frozen=True)
class CallResult:
    """The end of a call, with the value that its method returned or with the failure."""

    call: Call
    value: Any = None
    failure: CallFailure | None = None
    error: BaseException | None = None
    """The exception that the method raised, or Ray's reason for the actor's death."""


def result_of(call: Call, ref: Any, timeout_s: float | None = None) -> CallResult:
    """Return the end of a call from Ray's reference to its value; wait for it at most `timeout_s`."""
    try:
        return CallResult(call, ray.get(ref, timeout=timeout_s))
    except RayTaskError as error:
        return CallResult(call, failure=CallFailure.RAISED, error=error.cause)
    except RayError as error:
        exit_type = _EXIT_TYPE.search(str(error)) if isinstance(error, RayActorError) else None
        cause = ClusterError(f"its worker died: {exit_type[1] if exit_type else last_line(error)}")
        return CallResult(call, failure=failure_of(error), error=cause)


def failure_of(error: RayError) -> CallFailure:
    """Return why an actor did not answer, from the error that Ray raised; some causes stand only in its text."""
    text = str(error).replace("_", " ").lower()
    if isinstance(error, _OUT_OF_REACH) or NODE_DIED in text:
        return CallFailure.LOST
    return CallFailure.OUT_OF_MEMORY if isinstance(error, OutOfMemoryError) or OUT_OF_MEMORY in text else CallFailure.DIED
