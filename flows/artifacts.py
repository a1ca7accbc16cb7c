"""Progress and summary of a flow run: Prefect artefacts in the browser, a bar on the terminal.

A scan outlives its scheduler: nothing here waits for an unreachable server, or fails because of one.
"""

import contextlib
import contextvars
from collections.abc import Callable, Iterator, Sequence
from threading import Event, Thread
from typing import cast
from uuid import UUID

import httpx
from prefect.artifacts import create_markdown_artifact, create_progress_artifact, update_progress_artifact
from prefect.exceptions import PrefectException

from flows.terminal import terminal_progress
from infra.progress import NamingProgress

SECONDS_BETWEEN_UPDATES = 2.0
"""Interval between updates of an artefact: each update is a request to the server, and people look no more often."""
PATIENCE_S = 5.0
"""Longest wait for the last update of an artefact, in seconds."""


@contextlib.contextmanager
def flow_progress(key: str, description: str) -> Iterator[NamingProgress]:
    """Yield a callback that reports (done, total) of the flow run; `key` holds lower-case letters, digits and dashes."""
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

            def report(done: int, total: int, at_work: Sequence[str] = (), /) -> None:
                nonlocal percent
                bar(done, total, at_work)
                percent = 100.0 * done / total if total else 100.0

            yield report
    finally:
        is_over.set()
        thread.join(PATIENCE_S)


def show_summary(key: str, markdown: str, description: str) -> None:
    """Attach a Markdown text to the current flow run; the page of the run shows the description."""
    _in_background(lambda: create_markdown_artifact(markdown, key=key, description=description)).join(PATIENCE_S)


def _in_background(task: Callable[[], object]) -> Thread:
    """Run the task in a thread with the flow run's context: Prefect tries for a minute to reach a server that is down."""
    context = contextvars.copy_context()

    def run() -> None:
        # RuntimeError: the flow run and its client have ended meanwhile.
        with contextlib.suppress(httpx.HTTPError, PrefectException, RuntimeError):
            context.run(task)

    thread = Thread(target=run, daemon=True)
    thread.start()
    return thread
