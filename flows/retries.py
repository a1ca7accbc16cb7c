"""Steps of a flow that are tried again after an error of the infrastructure, and never after one of data, settings or code.

Prefect keeps no result of a step: the store decides what is done, so a step that is repeated does only what is left.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun

from infra.infrastructure_errors import is_infrastructure

DELAYS_S = (10.0, 60.0, 300.0)
"""Waits before the second, third and fourth try: a server that restarts needs seconds, a node that is replaced minutes."""
_Result = TypeVar("_Result")


def deserves_retry(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Return whether a step failed because of the infrastructure."""
    try:
        state.result(raise_on_failure=True)
    except Exception as error:  # noqa: BLE001 - any error of a step is looked at, none is handled here
        return is_infrastructure(error)
    return False


def retried(name: str, step: Callable[[], _Result]) -> _Result:
    """Run a step of the current flow under a name that its page shows; raise the error of its last try."""
    made = task(
        name=name,
        task_run_name=name,
        retries=len(DELAYS_S),
        retry_delay_seconds=list(DELAYS_S),
        retry_condition_fn=deserves_retry,
        cache_policy=NO_CACHE,
        persist_result=False,
    )
    return made(step)()
