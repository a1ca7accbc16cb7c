"""Start or join Ray in a session that is closed to others and cleans up."""

import contextlib
import logging
import os
import re
import socket
import sys
from collections.abc import Iterator
from typing import Any

import ray
from ray.exceptions import AuthenticationError, RayError

from infra.errors import ClusterAccessError, ClusterError
from infra.private_apis import ray_on_loopback, require_ray_token, running_ray_address
from infra.ray.cluster_access import Answer, ask, ensure_token, known_token, private_folder
from infra.settings import PRIVATE_RAY, Settings
from infra.telemetry import opt_out

CONNECT_TIMEOUT_S = 10
CLIENT_TRIES = 3
"""Largest number of times that a Ray client connects: the server that a cluster starts for it may die (Ray issue 63202)."""
_ADDRESS = re.compile(r"(ray://)?[^/@\s]+:\d+")
_QUIET: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
_LOG = logging.getLogger(__name__)
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@contextlib.contextmanager
def ray_session(address: str | None = None, num_cpus: int | None = None) -> Iterator[None]:
    """Run a `with` block on Ray: a private one on this machine, or the cluster at `address`.

    A session that already runs in this process is used and left running. A private Ray has no dashboard, listens on loopback
    only, answers only to this user's token, which is created if missing, and keeps its files and sockets in a folder that
    other users cannot enter. Usage statistics are off.

    Args:
        address: Cluster to connect to: `HOST:PORT`, `ray://HOST:PORT`, or `auto` for one on this machine.
            None or `local` starts a private Ray.
        num_cpus: Number of CPUs of a private Ray; all of the machine's by default.

    Raises:
        ClusterError: nothing answers at `address`, its token is not ours, or it requires no token and the setting
            `allow_open_cluster` is not true.
    """
    if ray.is_initialized():
        yield
        return
    opt_out()
    # This silences a warning about a default of GPU-less tasks that lensscan does not rely on.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        if address is None or address == PRIVATE_RAY:
            _start_private(num_cpus)
        else:
            _connect(address)
    except (OSError, ValueError, RuntimeError, AuthenticationError) as error:
        # Ray's client quotes the traceback of the server.
        reason = str(error).strip().rpartition("\n")[2]
        raise ClusterError(f"no Ray {f'cluster at {address}' if address else 'on this machine'}: {reason}") from error
    # Ray reports the failures of its workers on stdout, where a command's own output goes.
    with contextlib.redirect_stdout(sys.stderr):
        try:
            yield
        finally:
            ray.shutdown()


def actor_count(wanted: int, n_items: int, cpus_per_actor: float) -> int:
    """Return the number of actors to start: at most `wanted`, one for each item, and what the cluster's CPUs allow.

    An actor without a free CPU never starts, and calls to it never end.

    Raises:
        ValueError: `wanted` is below 1.
        ClusterError: Ray is gone.
    """
    if wanted < 1:
        raise ValueError(f"workers must be >= 1, got {wanted}")
    with ray_errors():
        room = int(ray.cluster_resources().get("CPU", 1) / cpus_per_actor)
    return max(1, min(wanted, n_items, room))


@contextlib.contextmanager
def ray_errors() -> Iterator[None]:
    """Convert the errors that Ray raises when it does not answer into one line.

    Raises:
        ClusterError: Ray is gone.
    """
    try:
        yield
    except RayError as error:
        raise ClusterError(f"Ray is gone: {last_line(error)}") from error


def last_line(error: BaseException) -> str:
    """Return an error's text; for Ray's own errors, which quote the worker's coloured traceback, the last line: the cause."""
    text = _COLOURS.sub("", str(error)).strip()
    return text.splitlines()[-1].strip() if isinstance(error, RayError) and text else text


def _start_private(num_cpus: int | None) -> None:
    ensure_token()
    require_ray_token()
    with ray_on_loopback():
        ray.init(address="local", num_cpus=num_cpus, include_dashboard=False, _temp_dir=str(private_folder()), **_QUIET)


def check_cluster(address: str) -> str:
    """Check, without connecting, that a cluster can be used; return its own address, also for `auto`.

    Raises:
        ClusterError: as `ray_session`.
    """
    if address == "auto":
        named = os.environ.get("RAY_ADDRESS", "")
        # Ray itself takes `auto` there, too.
        address = named if named not in {"", "auto"} else running_ray_address() or address
    if not _ADDRESS.fullmatch(address):
        # An address may hold a password, which must not get into a log.
        got = address.rpartition("@")[2]
        raise ClusterAccessError(f"the address of a Ray cluster must be HOST:PORT, ray://HOST:PORT or auto, got {got}")
    _check_reachable(address)
    _check_access(address)
    return address


def _connect(address: str) -> None:
    """Connect, again if the cluster could not start the server of a Ray client."""
    own = check_cluster(address)
    for tries_left in reversed(range(CLIENT_TRIES)):
        try:
            ray.init(address=own, **_QUIET)
        except Exception as error:
            # A failed client leaves Ray in client mode, in which this process could not connect without a client.
            ray.shutdown()
            if not (isinstance(error, ConnectionAbortedError) and tries_left):
                raise
            _LOG.warning("the Ray cluster at %s did not start the server of this client; connecting again", own)
        else:
            return


def _check_access(address: str) -> None:
    """Check that the cluster requires a token and accepts ours."""
    answer = ask(address)
    if answer is Answer.GIVEN and not Settings.read().allow_open_cluster:
        raise ClusterAccessError(
            f"the Ray cluster at {address} is open: anyone who reaches its ports can run code on it. Start it with "
            "RAY_AUTH_MODE=token and a token (ray get-auth-token --generate), or accept it as it is with "
            "LENSSCAN_ALLOW_OPEN_CLUSTER=true"
        )
    if answer is Answer.REFUSED:
        token = known_token()
        if token is None or ask(address, token) is not Answer.GIVEN:
            found = "none is set" if token is None else "a different one is set"
            raise ClusterAccessError(
                f"the Ray cluster at {address} requires its token, but {found} in RAY_AUTH_TOKEN, the file RAY_AUTH_TOKEN_PATH "
                "or ~/.ray/auth_token"
            )
        require_ray_token()
    # A cluster that uses TLS (RAY_USE_TLS) gives no answer over an unencrypted connection.
    if answer is Answer.NONE and os.environ.get("RAY_USE_TLS", "0") in {"", "0"}:
        raise ClusterError(f"no Ray cluster at {address}: the server there does not answer in Ray's protocol")


def _check_reachable(address: str) -> None:
    """Fail within seconds, where Ray would retry for many minutes."""
    host, separator, port = address.removeprefix("ray://").rpartition(":")
    if separator and port.isdecimal():
        try:
            socket.create_connection((host, int(port)), CONNECT_TIMEOUT_S).close()
        except OSError as error:
            raise ClusterError(f"no Ray cluster at {address}: {error.strerror or error}") from error
