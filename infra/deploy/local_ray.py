"""Run a Ray head with its job server on loopback, closed to others by a token."""

import contextlib
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import httpx

from infra.deploy.local_process import ABOVE_RAY, LOOPBACK, LocalServiceError, free_ports, local_process, program, write_private
from infra.telemetry import OPT_OUTS

TIMEOUT_S = 10.0
N_STARTS = 3
"""Ray gives its node 30 s to start, which is not enough on a machine with much other work (seen with Ray 2.60)."""
_ON_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Makes a head listen on loopback only: one that expects other nodes listens on every address (seen with Ray 2.60).

Drivers need it too: without it they replace 127.0.0.1 by the machine's own address, where no head answers.
"""

_CLIENT_SERVERS = {"GRPC_ENABLE_FORK_SUPPORT": "0"}
"""Keeps the servers of Ray clients alive: the head forks them, and gRPC's handlers of a fork may end them (Ray issue 63202)."""


@contextlib.contextmanager
def local_ray(folder: Path, variables: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Run a head, its log and its token in `folder`, and yield the environment variables of its clients.

    Args:
        folder: Folder of the log and of the token.
        variables: Further environment variables of the head, which its jobs and workers inherit, such as those of a store.

    Raises:
        LocalServiceError: the head does not start, or ends.
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    token, secret = folder / "token", secrets.token_hex(32)
    write_private(token, secret)
    guarded = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token), **_ON_LOOPBACK, **OPT_OUTS}
    port, dashboard, client, agent, metrics = free_ports(5, above=ABOVE_RAY)
    jobs_url = f"http://{LOOPBACK}:{dashboard}"
    command = [
        *(program("ray", "ray[default]"), "start", "--head", "--block", f"--port={port}", f"--dashboard-port={dashboard}"),
        *(f"--ray-client-server-port={client}", f"--dashboard-agent-listen-port={agent}", f"--metrics-export-port={metrics}"),
        *(f"--dashboard-host={LOOPBACK}", f"--node-ip-address={LOOPBACK}"),
    ]
    # The sockets of Ray need a short path; other users cannot enter the folder.
    short = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))
    try:
        command.append(f"--temp-dir={short}")
        own = {**variables, **guarded, **_CLIENT_SERVERS}
        start = partial(local_process, "the Ray head", command, folder / "head.log", partial(_is_ready, jobs_url, secret), own)
        with _first_of(N_STARTS, start):
            yield {**guarded, "LENSSCAN_RAY_ADDRESS": f"{LOOPBACK}:{port}", "RAY_API_SERVER_ADDRESS": jobs_url}
    finally:
        shutil.rmtree(short, ignore_errors=True)


@contextlib.contextmanager
def _first_of(n: int, start: Callable[[], contextlib.AbstractContextManager[int]]) -> Iterator[None]:
    """Enter what `start` returns; if that fails, try again, `n` times in all."""
    with contextlib.ExitStack() as running:
        for left in reversed(range(n)):
            try:
                running.enter_context(start())
                break
            except LocalServiceError:
                if not left:
                    raise
        yield


def _is_ready(jobs_url: str, token: str) -> bool:
    """Return whether the job server refuses a stranger and its node has started, which takes longer than its pages."""
    with contextlib.suppress(httpx.HTTPError), httpx.Client(timeout=TIMEOUT_S, trust_env=False) as client:
        if client.get(f"{jobs_url}/api/version").status_code != httpx.codes.UNAUTHORIZED:
            return False
        answer = client.get(f"{jobs_url}/nodes?view=summary", headers={"Authorization": f"Bearer {token}"})
        return answer.is_success and '"ALIVE"' in answer.text
    return False
