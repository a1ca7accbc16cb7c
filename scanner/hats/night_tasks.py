"""Write nights as Ray tasks: each on a CPU of any node, and again on another one if its node or process dies."""

import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import ray
from ray.exceptions import RayError

from infra.calls import Call
from infra.errors import ClusterError
from infra.ray.calls import result_of
from infra.ray.cluster import ray_errors
from infra.store.s3_access import access_variables
from scanner.catalogue.known_lenses import KnownLenses
from scanner.catalogue.shown import ShownPlan
from scanner.hats.night_writers import WrittenNight, write_shared

MOST_TRIES = 4
"""Largest number of times that a night is begun; an error of lensscan's own ends the publication at once."""

_END_S = 10
"""Seconds to wait for tasks to end."""


def nights_on_ray(
    catalogue_uri: str, nights: Mapping[str, list[ShownPlan]], shared_uri: str, known: KnownLenses | None
) -> Iterator[WrittenNight]:
    """Write nights in the running Ray session, and yield them in their order.

    Args:
        catalogue_uri: Root of the catalogue, which all nodes reach.
        nights: Plans by the label of the night.
        shared_uri: Folder or prefix of the publisher, which all nodes reach.
        known: Known lenses that rows are matched with.

    Raises:
        ClusterError: Ray is gone, or a night was begun `MOST_TRIES` times.
        LensscanError: as for `write_night`.
    """
    task: Any = ray.remote(write_shared).options(
        num_cpus=1, max_retries=MOST_TRIES - 1, runtime_env={"env_vars": access_variables()}
    )
    with ray_errors():
        shared = ray.put(known)
        begun = {label: task.remote(catalogue_uri, label, plans, shared_uri, shared) for label, plans in nights.items()}
    waiting = dict(begun)
    try:
        for label, reference in begun.items():
            result = result_of(Call("write_shared", (label,), math.inf), reference)
            del waiting[label]
            if result.error is not None:
                raise _named(label, result.error)
            yield result.value
    finally:
        _end(list(waiting.values()))


def _end(tasks: list[Any]) -> None:
    """End tasks whose nights are not awaited any more, so that they write no more into the publisher's folder."""
    # If Ray is gone, its tasks are gone too.
    with suppress(RayError):
        for task in tasks:
            ray.cancel(task, force=True)
        if tasks:
            ray.wait(tasks, num_returns=len(tasks), timeout=_END_S)


def _named(label: str, error: BaseException) -> BaseException:
    """Return the error of a night; that of a dead worker does not name the night yet."""
    return ClusterError(f"night {label}: {error}") if isinstance(error, ClusterError) else error
