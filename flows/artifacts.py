"""Progress of a flow run: an artefact for who watches in a browser, a bar for who watches a terminal."""

import contextlib
import time
from collections.abc import Iterator
from typing import cast
from uuid import UUID

import httpx
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.exceptions import PrefectException

from flows.terminal import Report, terminal_progress

MIN_SECONDS_BETWEEN_UPDATES = 2.0
"""An artefact is a request to the server: no more often than a person can look."""


@contextlib.contextmanager
def flow_progress(key: str, description: str) -> Iterator[Report]:
    """Report (done, in all) of the current flow run; `key` in lower case, digits and dashes."""
    artifact = cast("UUID", create_progress_artifact(progress=0.0, key=key, description=description))
    last = time.monotonic()
    with terminal_progress(key) as bar:

        def report(done: int, total: int) -> None:
            nonlocal last
            bar(done, total)
            now = time.monotonic()
            if done < total and now - last < MIN_SECONDS_BETWEEN_UPDATES:
                return
            last = now
            # A scan outlives its scheduler: what cannot be shown is not worth stopping for.
            with contextlib.suppress(httpx.HTTPError, PrefectException):
                update_progress_artifact(artifact, progress=100.0 * done / total if total else 100.0)

        yield report
