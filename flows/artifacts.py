"""Progress and summary of a flow run: artefacts for who watches in a browser, a bar for who watches a terminal.

A scan outlives its scheduler: nothing here waits for a server that is away, or fails because of one.
"""

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from threading import Event, Thread
from typing import cast
from uuid import UUID

import httpx
from prefect.artifacts import create_markdown_artifact, create_progress_artifact, update_progress_artifact
from prefect.exceptions import PrefectException

from flows.terminal import Report, terminal_progress

SECONDS_BETWEEN_UPDATES = 2.0
"""An artefact is a request to the server: no more often than a person can look."""
PATIENCE_S = 5.0
"""For the last word to arrive."""


@contextlib.contextmanager
def flow_progress(key: str, description: str) -> Iterator[Report]:
    """Report (done, in all) of the current flow run; `key` in lower case, digits and dashes."""
    is_over = Event()
    percent = 0.0

    def keep_up() -> None:
        artifact = cast("UUID", create_progress_artifact(progress=0.0, key=key, description=description))
        shown, is_last = 0.0, False
        while not is_last:
            is_last = is_over.wait(SECONDS_BETWEEN_UPDATES)
            if percent != shown:
                shown = percent
                with contextlib.suppress(httpx.HTTPError, PrefectException):
                    update_progress_artifact(artifact, progress=shown)

    thread = _in_background(keep_up)
    try:
        with terminal_progress(key) as bar:

            def report(done: int, total: int) -> None:
                nonlocal percent
                bar(done, total)
                percent = 100.0 * done / total if total else 100.0

            yield report
    finally:
        is_over.set()
        thread.join(PATIENCE_S)


def show_summary(key: str, markdown: str) -> None:
    """Leave a text with the current flow run."""
    _in_background(lambda: create_markdown_artifact(markdown, key=key)).join(PATIENCE_S)


def _in_background(task: Callable[[], object]) -> Thread:
    """Run it in a thread that knows the flow run: Prefect tries for a minute to reach a server that has gone."""
    context = contextvars.copy_context()

    def run() -> None:
        # RuntimeError: the flow run has ended meanwhile, and its client with it.
        with contextlib.suppress(httpx.HTTPError, PrefectException, RuntimeError):
            context.run(task)

    thread = Thread(target=run, daemon=True)
    thread.start()
    return thread
