"""Ray: a session that cleans up after itself, and a map over actors that never floods them."""

import contextlib
import logging
import os
import re
import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import ray
from ray.exceptions import RayError, RayTaskError

from infra.errors import LensscanError
from infra.telemetry import opt_out

Item = TypeVar("Item")
CONNECT_TIMEOUT_S = 10
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class ClusterError(LensscanError):
    """A cluster that cannot be reached, or work that failed on it; the message names the item."""


@contextlib.contextmanager
def ray_session(address: str | None = None, num_cpus: int | None = None) -> Iterator[None]:
    """Ray for the length of a `with` block: a private one on this machine, or the cluster at `address`.

    A session that is running in this process already is used and left running. A private one has
    no dashboard and, from Ray 2.59 on, answers only to the token that Ray makes for this user. Usage statistics are off.

    Args:
        address: Cluster to connect to (`auto` inside a Ray job).
        num_cpus: CPUs of a private Ray; all of the machine's by default.

    Raises:
        ClusterError: nothing answers at `address`.
    """
    if ray.is_initialized():
        yield
        return
    opt_out()
    # Silences a warning about a default of GPU-less tasks that we do not rely on.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    private: dict[str, Any] = {"num_cpus": num_cpus, "include_dashboard": False}
    if address:
        _check_reachable(address)
    try:
        ray.init(address=address or "local", logging_level=logging.ERROR, log_to_driver=False, **({} if address else private))
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ClusterError(f"no Ray cluster at {address or 'this machine'}: {error}") from error
    try:
        yield
    finally:
        ray.shutdown()


def actor_count(wanted: int, n_items: int, cpus_per_actor: float) -> int:
    """How many actors to start: no more than wanted, than there are items, or than the cluster has CPUs for.

    An actor that finds no CPU is never started, and work given to it never ends.

    Raises:
        ValueError: fewer than one is wanted.
    """
    if wanted < 1:
        raise ValueError(f"workers must be >= 1, got {wanted}")
    room = int(ray.cluster_resources().get("CPU", 1) / cpus_per_actor)
    return max(1, min(wanted, n_items, room))


def bounded_map(
    actors: Sequence[Any],
    method: str,
    items: Iterable[Item],
    in_flight_per_actor: int = 1,
    deadline_s: float | None = None,
) -> Iterator[tuple[Item, Any]]:
    """Call `actor.method(item)` for every item, each on the next free actor; yield `(item, result)` as they complete.

    At most `in_flight_per_actor` calls wait or run on an actor at a time, and `items` is read no faster than that.

    Raises:
        ValueError: no actors, or `in_flight_per_actor` below 1.
        ClusterError: a call raised, its actor died, or it ran longer than `deadline_s`. Nothing new is started; what ran
            elsewhere is for the caller to stop.
    """
    if not actors or in_flight_per_actor < 1:
        raise ValueError(f"needs an actor and in_flight_per_actor >= 1, got {len(actors)} and {in_flight_per_actor}")
    queue = iter(items)
    running: dict[Any, tuple[Any, Item, float]] = {}
    # A call may wait for those before it on its actor.
    patience_s = None if deadline_s is None else deadline_s * in_flight_per_actor

    def start_next(actor: Any) -> None:
        for item in queue:
            running[getattr(actor, method).remote(item)] = (actor, item, time.monotonic())
            return

    for actor in [actor for _ in range(in_flight_per_actor) for actor in actors]:
        start_next(actor)
    while running:
        _, oldest, begun = min(running.values(), key=lambda call: call[2])
        left_s = None if patience_s is None else max(begun + patience_s - time.monotonic(), 0)
        done, _ = ray.wait(list(running), num_returns=1, timeout=left_s)
        if not done:
            raise ClusterError(f"{method}({oldest!r}) took longer than the {deadline_s:g} s that are allowed")
        ready = done[0]
        actor, item, _ = running.pop(ready)
        try:
            result = ray.get(ready)
        except RayError as error:
            cause = error.cause if isinstance(error, RayTaskError) else error
            raise ClusterError(f"{method}({item!r}) failed: {type(cause).__name__}: {_last_line(cause)}") from error
        start_next(actor)
        yield item, result


def _last_line(error: BaseException) -> str:
    """What an error says; of Ray's own, which quote the worker's whole traceback in colours, the line that says why."""
    text = _COLOURS.sub("", str(error)).strip()
    return text.splitlines()[-1].strip() if isinstance(error, RayError) and text else text


def _check_reachable(address: str) -> None:
    """Fail in seconds where Ray would go on trying for many minutes."""
    host, separator, port = address.removeprefix("ray://").rpartition(":")
    if separator and port.isdecimal():
        try:
            socket.create_connection((host, int(port)), CONNECT_TIMEOUT_S).close()
        except OSError as error:
            raise ClusterError(f"no Ray cluster at {address}: {error.strerror or error}") from error
