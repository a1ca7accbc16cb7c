"""The end of a call to a Ray actor, from Ray's reference and Ray's errors."""

import re
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

from infra.calls import Call, CallFailure, CallResult
from infra.errors import ClusterError
from infra.ray.cluster import last_line

_OUT_OF_REACH = (NodeDiedError, ActorUnavailableError, GetTimeoutError, ObjectLostError)
"""Errors that Ray raises when a node may be gone and the actor's end was not observed."""
NODE_DIED, OUT_OF_MEMORY = "its node has died", "out of memory"
"""Parts of Ray's messages about dead actors, in lower case, with spaces instead of underscores."""
_EXIT_TYPE = re.compile(r"Worker exit type: (\w+)")
"""Exit type in Ray's message about a dead actor; the message goes on to list every possible cause."""


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
