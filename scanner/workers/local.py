"""Scan in processes of this machine, without Ray: a small scan is over before Ray has started."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from infra.local_pool import LocalPool, WorkerProcess
from scanner.workers.threads import IN_FLIGHT, thread_settings, threads_of

if TYPE_CHECKING:
    # Not imported: the first worker starts while this process imports the rest.
    from pathlib import Path

    from scanner.catalogue.plan import Plan
    from scanner.catalogue.units import Unit

SCANNER = "scanner.workers.unit_scanner:UnitScanner"
"""Class of the workers; the process of the command does not import it, because it loads the networks."""
ROWS_PER_WORKER = 1000
"""Number of rows that are worth another worker: it takes two to three core seconds to start, and a row takes 5 ms."""


@contextmanager
def early_worker(workers: int) -> Iterator[WorkerProcess]:
    """Start a worker, which imports its libraries while this process plans; it ends with the `with` block."""
    worker = WorkerProcess(SCANNER, thread_settings(threads_of(workers)))
    try:
        yield worker
    finally:
        worker.kill()


def local_pool(
    plan: "Plan",
    todo: "Sequence[Unit]",
    package: "Path",
    root_uri: str,
    workers: int,
    early: WorkerProcess | None = None,
) -> LocalPool:
    """Start at most `workers` scanners of units; their scores are those of Ray actors to the bit.

    Args:
        plan: Plan of the night.
        todo: Units to scan.
        package: Folder of its ensemble.
        root_uri: Folder or `s3://` prefix of the catalogue.
        workers: Requested number of scanners.
        early: The first of the workers, if one runs already.

    Raises:
        ValueError: `workers` is below 1.
    """
    if workers < 1:
        raise ValueError(f"workers must be >= 1, got {workers}")
    threads = threads_of(workers)
    arguments = (plan, package, root_uri, threads)
    n_worth = 1 + sum(unit.n_selected for unit in todo) // ROWS_PER_WORKER
    return LocalPool(SCANNER, arguments, min(workers, len(todo), n_worth), IN_FLIGHT, thread_settings(threads), early)
