"""Progress as a Prefect artefact, for who watches the run in a browser."""

import time
from collections.abc import Callable
from typing import cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact

Report = Callable[[int, int], None]

MIN_SECONDS_BETWEEN_UPDATES = 2.0
"""An artefact is a request to the server: no more often than a person can look."""


def artifact_progress(key: str, description: str) -> Report:
    """A progress artefact of the current flow run; `key` in lower case, digits and dashes."""
    artifact = cast("UUID", create_progress_artifact(progress=0.0, key=key, description=description))
    last = time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if done < total and now - last < MIN_SECONDS_BETWEEN_UPDATES:
            return
        last = now
        update_progress_artifact(artifact, progress=100.0 * done / total if total else 100.0)

    return report
