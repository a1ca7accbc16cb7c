"""Choose the pool of a scan: processes of this machine for a small one, Ray for all others."""

import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from infra.calls import Pool
from infra.local_pool import WorkerProcess
from scanner.catalogue.plan import Plan
from scanner.catalogue.units import Unit
from scanner.workers.local import local_pool
from scanner.workers.run_tally import RunTally

MOST_LOCAL_ROWS = 10_000
"""Largest number of pending rows that are scanned without Ray if no cluster is named.

Two cores scan this many in half a minute, and Ray takes ten seconds to start. A longer scan is worth the start, because Ray
ends a worker before the machine has no memory left.
"""


def is_local(todo: Sequence[Unit], ray_address: str | None) -> bool:
    """Return whether these units are scanned without Ray."""
    return ray_address is None and sum(unit.n_selected for unit in todo) <= MOST_LOCAL_ROWS


@contextmanager
def scan_pool(
    plan: Plan,
    todo: Sequence[Unit],
    package: Path,
    root_uri: str,
    workers: int | None,
    ray_address: str | None,
    early: WorkerProcess | None = None,
    tally: RunTally | None = None,
    run_id: str = "",
) -> Iterator[Pool]:
    """Run a `with` block with at most `workers` scanners of the pending units of a plan; `early` is one that runs already.

    Without `workers`, there are as many as the cluster or this machine has cores. Ray's metrics show the numbers of `tally`,
    which is told the number of workers, and the workers' logs carry `run_id`.

    Raises:
        ClusterError: Ray cannot be reached.
    """
    tally = tally or RunTally()
    if is_local(todo, ray_address):
        tally.n_workers = workers = (os.cpu_count() or 1) if workers is None else workers
        with closing(local_pool(plan, todo, package, root_uri, workers, early, run_id)) as local:
            yield local
        return
    if early is not None:
        early.kill()
    # Imported here, because Ray and torch take longer to import than a small scan takes.
    from infra.ray.cluster import ray_session
    from infra.ray.nodes import cluster_cpus
    from scanner.workers.actors import scanner_pool
    from scanner.workers.ray_metrics import report_to_ray

    with ray_session(ray_address):
        tally.n_workers = workers = cluster_cpus() if workers is None else workers
        with closing(scanner_pool(plan, package, root_uri, workers, len(todo), run_id)) as pool:
            report_to_ray(tally, plan.night)
            yield pool
