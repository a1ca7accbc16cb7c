"""Run a Prefect server on loopback, with a password, a database of its own and the work pool of the deployments."""

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path

import httpx

from infra.deploy.local_process import LOOPBACK, LocalServiceError, free_ports, local_process, program
from infra.telemetry import OPT_OUTS

WORK_POOL = "lensscan"
"""Work pool that `prefect.yaml` names."""
TIMEOUT_S = 10.0


@contextlib.contextmanager
def local_prefect(folder: Path) -> Iterator[dict[str, str]]:
    """Run a server with its files in `folder`, and yield the environment variables of its clients.

    Raises:
        LocalServiceError: the server does not start, or ends, or refuses to make the work pool.
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (port,) = free_ports(1)
    url = f"http://{LOOPBACK}:{port}/api"
    # A user and a password, as in HTTP; a new password for each start.
    password = f"operator:{secrets.token_hex(32)}"
    common = {"PREFECT_HOME": str(folder), **OPT_OUTS}
    server = {**common, "PREFECT_SERVER_API_AUTH_STRING": password, "PREFECT_SERVER_UI_API_URL": url}
    server["PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT"] = "false"
    command = [program("prefect", "prefect"), "server", "start", "--host", LOOPBACK, "--port", str(port)]
    with local_process("the Prefect server", command, folder / "server.log", lambda: _is_healthy(url), server):
        _make_pool(url, password)
        yield {**common, "PREFECT_API_URL": url, "PREFECT_API_AUTH_STRING": password}


def _is_healthy(url: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"{url}/health", timeout=TIMEOUT_S, trust_env=False).status_code == httpx.codes.OK
    return False


def _make_pool(url: str, password: str) -> None:
    """Make the work pool if it is not there from an earlier run; its first worker adds the template of its processes."""
    user, _, word = password.partition(":")
    try:
        answer = httpx.post(
            f"{url}/work_pools/",
            json={"name": WORK_POOL, "type": "process"},
            auth=(user, word),
            timeout=TIMEOUT_S,
            trust_env=False,
        )
    except httpx.HTTPError as error:
        raise LocalServiceError(f"the Prefect server does not answer: {type(error).__name__}") from error
    if answer.status_code not in {httpx.codes.CREATED, httpx.codes.OK, httpx.codes.CONFLICT}:
        raise LocalServiceError(f"the Prefect server refuses to make the work pool {WORK_POOL}: HTTP {answer.status_code}")
