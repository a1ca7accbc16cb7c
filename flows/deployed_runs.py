"""Runs of deployments on a Prefect server, asked for and followed through its API."""

import time
import uuid
from dataclasses import dataclass, field
from typing import Any

import httpx

from infra.errors import LensscanError

TIMEOUT_S = 60.0
POLL_S = 0.5
N_TRIES, WAIT_S = 5, 2.0
"""A server with an SQLite database answers HTTP 503 while other clients keep the database busy."""
_OVER = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
_MOST_LOGS = 200
"""Number of log entries that the server returns at once."""


class RunError(LensscanError):
    """A run has not ended as it should, or the server does not answer."""


@dataclass(frozen=True)
class DeployedRuns:
    """The runs of a server; `url` is its address without `/api`."""

    url: str
    auth_string: str = field(repr=False)
    """`user:password`."""

    def start(self, name: str, parameters: dict[str, Any]) -> str:
        """Schedule a run of the deployment FLOW/NAME now, and return its id.

        Raises:
            RunError: there is no such deployment, or the server refuses the parameters.
        """
        deployment = self._ask("GET", f"/deployments/name/{name}")
        # With the key, a request that is sent again makes no second run.
        asked = {"parameters": parameters, "idempotency_key": uuid.uuid4().hex}
        return self._ask("POST", f"/deployments/{deployment['id']}/create_flow_run", asked)["id"]

    def state(self, run: str) -> dict[str, Any]:
        """Return the state of a run: `type`, `name` and `message`."""
        return self._ask("GET", f"/flow_runs/{run}")["state"]

    def wait(self, run: str, seconds: float) -> None:
        """Wait until a run has completed.

        Raises:
            RunError: it has not within this time, or has ended in another way.
        """
        end = time.monotonic() + seconds
        while (state := self.state(run))["type"] not in _OVER:
            if time.monotonic() > end:
                raise RunError(f"{self.page(run)}: the run has not ended within {seconds:.0f} s, it is {state['name']}")
            time.sleep(POLL_S)
        if state["type"] != "COMPLETED":
            raise RunError(f"{self.page(run)}: the run has ended as {state['name']}: {state['message']}")

    def wait_for_log(self, run: str, words: str, seconds: float) -> None:
        """Wait until the log of a run holds some words.

        Raises:
            RunError: it does not within this time, or the run has ended before.
        """
        end = time.monotonic() + seconds
        while True:
            # The state comes first: a line that was logged before the end is then in the log.
            is_last = self.state(run)["type"] in _OVER or time.monotonic() > end
            if any(words in line for line in self.logs(run)):
                return
            if is_last:
                raise RunError(f"{self.page(run)}: the log has no line with '{words}'")
            time.sleep(POLL_S)

    def logs(self, run: str) -> list[str]:
        """Return the first messages of the log of a run."""
        asked = {"logs": {"flow_run_id": {"any_": [run]}}, "sort": "TIMESTAMP_ASC", "limit": _MOST_LOGS}
        return [entry["message"] for entry in self._ask("POST", "/logs/filter", asked)]

    def page(self, run: str) -> str:
        """Return the address of the page of a run."""
        return f"{self.url}/runs/flow-run/{run}"

    def _ask(self, method: str, path: str, content: dict[str, Any] | None = None) -> Any:
        user, _, password = self.auth_string.partition(":")
        with httpx.Client(auth=(user, password), timeout=TIMEOUT_S, trust_env=False) as client:
            for wait_s in (*(WAIT_S,) * (N_TRIES - 1), 0.0):
                try:
                    answer = client.request(method, f"{self.url}/api{path}", json=content)
                except httpx.HTTPError as error:
                    raise RunError(f"{self.url} does not answer: {type(error).__name__}") from error
                if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                    break
                time.sleep(wait_s)
        if not answer.is_success:
            raise RunError(f"{self.url} refuses {path}: HTTP {answer.status_code}")
        return answer.json()
