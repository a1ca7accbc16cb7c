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
"""Number of rows that are worth another worker: it takes four core seconds to start, and a row takes 5 ms.

A small scan uses the cores by several threads of one worker.
"""


@contextmanager
def early_worker() -> Iterator[WorkerProcess]:
    """Start a worker, which imports its libraries while this process plans; it ends with the `with` block."""
    worker = WorkerProcess(SCANNER, thread_settings(threads_of(1)))
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
    run_id: str = "",
) -> LocalPool:
    """Start scanners of units, at most `workers`, and only as many as pay for their start.

    The units of the whole plan decide how many do: a scan that goes on after a crash has the same number of threads, which the
    last digits of scores depend on.

    Args:
        plan: Plan of the night.
        todo: Units to scan.
        package: Folder of its ensemble.
        root_uri: Folder or `s3://` prefix of the catalogue.
        workers: Requested number of scanners.
        early: The first of the workers, if one runs already.
        run_id: Id of the run, which the workers' logs carry.

    Raises:
        ValueError: `workers` is below 1.
    """
    if workers < 1:
        raise ValueError(f"workers must be >= 1, got {workers}")
    n_paid = min(workers, 1 + sum(unit.n_selected for unit in plan.units) // ROWS_PER_WORKER)
    threads = threads_of(n_paid)
    arguments = (plan, package, root_uri, threads, run_id)
    # An early worker has started before the number of threads is known: all get the same limits, and the number itself.
    return LocalPool(SCANNER, arguments, min(n_paid, len(todo)), IN_FLIGHT, thread_settings(threads_of(1)), early)
