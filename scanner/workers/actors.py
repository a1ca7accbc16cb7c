"""Scan on Ray: workers are actors, which share the GPUs of the cluster."""

import os
from pathlib import Path
from typing import Any

import ray

from infra.json_logs import is_asked, log_json, log_variables
from infra.ray.actor_pool import ActorPool
from infra.ray.cluster import ray_errors
from infra.store.s3_access import access_variables
from scanner.catalogue.ledger import Receipt
from scanner.catalogue.plan import Plan
from scanner.workers.placement import ACTOR_CPUS, place
from scanner.workers.ray_metrics import WorkerMeters
from scanner.workers.retry_state import Task
from scanner.workers.threads import IN_FLIGHT, thread_settings
from scanner.workers.unit_scanner import UnitScanner


def scanner_pool(plan: Plan, package: Path, root_uri: str, workers: int, n_units: int, run_id: str = "") -> ActorPool:
    """Start at most `workers` scanners for `n_units` units in the running Ray session; their logs carry `run_id`.

    Raises:
        ClusterError: Ray is gone.
    """
    placed = place(plan.config.engine, workers, n_units)
    # Ray itself may leave an actor without a GPU all GPUs of its node.
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if placed.hides_gpus else {}
    remote: Any = ray.remote(MeteredScanner)
    asks = {"CPU": ACTOR_CPUS, **({"GPU": placed.gpu_share} if placed.gpu_share else {})}
    actor = remote.options(
        num_cpus=ACTOR_CPUS,
        num_gpus=placed.gpu_share,
        # One thread more answers how far the others are.
        max_concurrency=IN_FLIGHT + 1,
        runtime_env={"env_vars": {**thread_settings(placed.threads), **access_variables(), **log_variables(), **hidden}},
    )
    with ray_errors():
        # Store the plan once for all actors, because it is large: it holds every unit of the night.
        shared = ray.put(plan)
    return ActorPool(
        lambda: actor.remote(UnitScanner, shared, package, root_uri, placed.threads, run_id), placed.n_actors, IN_FLIGHT, asks
    )


class MeteredScanner:
    """A scanner of a class that it gets; it counts what it commits, for Ray's metrics."""

    def __init__(
        self, scanner: type[UnitScanner], plan: Plan, package: Path, root_uri: str, threads: int, run_id: str = ""
    ) -> None:
        if is_asked():
            log_json()
        # The threads were counted on the largest node, and this one may be smaller.
        self._scanner = scanner(plan, package, root_uri, min(threads, os.cpu_count() or 1), run_id)
        self._meters = WorkerMeters(plan.night)

    def scan(self, task: Task) -> Receipt:
        """Scan a unit, as `UnitScanner.scan`."""
        receipt = self._scanner.scan(task)
        self._meters.count(receipt)
        return receipt

    def try_rows(self, task: Task) -> None:
        """Score the rows of a trial, as `UnitScanner.try_rows`."""
        self._scanner.try_rows(task)

    def rows_done(self) -> dict[str, int]:
        """Return the rows scored so far, as `UnitScanner.rows_done`."""
        return self._scanner.rows_done()
