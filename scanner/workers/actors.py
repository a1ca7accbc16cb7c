"""Scan on Ray: workers are actors, which share the GPUs of the cluster."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ray
from ray.util.metrics import Counter, Gauge

from infra.json_logs import is_asked, log_json, log_variables
from infra.ray.actor_pool import ActorPool
from infra.ray.cluster import actor_count, ray_errors
from infra.store.s3_access import access_variables
from scanner.catalogue.ledger import Outcome, Receipt
from scanner.catalogue.outcomes import SCORED
from scanner.catalogue.paths import night_label
from scanner.catalogue.plan import Plan
from scanner.vocabulary import metrics
from scanner.vocabulary.metrics import NIGHT, Metric
from scanner.workers.retry_state import Task
from scanner.workers.run_tally import RunTally
from scanner.workers.threads import IN_FLIGHT, thread_settings, threads_of
from scanner.workers.unit_scanner import UnitScanner

ACTOR_CPUS = 0.5
"""CPUs that Ray reserves for an actor: less than one, so that two actors on a two-core machine leave room for the rest."""


def scanner_pool(plan: Plan, package: Path, root_uri: str, workers: int, n_units: int, run_id: str = "") -> ActorPool:
    """Start at most `workers` scanners for `n_units` units in the running Ray session; their logs carry `run_id`.

    Raises:
        ClusterError: Ray is gone.
    """
    n_actors = actor_count(workers, n_units, ACTOR_CPUS)
    gpu_share = 0.0
    if plan.config.engine in {"auto", "cuda"}:
        n_actors, gpu_share = gpu_shares(_nodes(), n_actors)
    threads = threads_of(workers)
    remote: Any = ray.remote(MeteredScanner)
    actor = remote.options(
        num_cpus=ACTOR_CPUS,
        num_gpus=gpu_share,
        # One thread more answers how far the others are.
        max_concurrency=IN_FLIGHT + 1,
        runtime_env={"env_vars": {**thread_settings(threads), **access_variables(), **log_variables()}},
    )
    with ray_errors():
        # Store the plan once for all actors, because it is large: it holds every unit of the night.
        shared = ray.put(plan)
    return ActorPool(lambda: actor.remote(UnitScanner, shared, package, root_uri, threads, run_id), n_actors, IN_FLIGHT)


class MeteredScanner:
    """A scanner of a class that it gets; it counts what it commits, for Ray's metrics."""

    def __init__(
        self, scanner: type[UnitScanner], plan: Plan, package: Path, root_uri: str, threads: int, run_id: str = ""
    ) -> None:
        if is_asked():
            log_json()
        self._scanner = scanner(plan, package, root_uri, threads, run_id)
        self._meters = _Meters(plan)

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


class _Meters:
    """Ray's counters of one process for one night."""

    def __init__(self, plan: Plan) -> None:
        self._night = night_label(plan.night)
        self._counters: dict[str, Counter] = {}

    def count(self, receipt: Receipt) -> None:
        """Count a receipt as `RunTally` does: a unit that another attempt committed adds no rows."""
        self.add(metrics.STORE_RETRIES, receipt.n_store_retries)
        if receipt.outcome is not Outcome.COMMITTED:
            return
        self.add(metrics.UNITS_COMMITTED, 1)
        self.add(metrics.CANDIDATES, receipt.n_candidates)
        for status, n in receipt.rows_by_status.items():
            kind, _, code = status.partition(":")
            if status == SCORED:
                self.add(metrics.ROWS_SCORED, n)
            elif kind == "rejected":
                self.add(metrics.ROWS_REJECTED, n, code)
        for stage, seconds in receipt.seconds.items():
            self.add(metrics.STAGE_SECONDS, seconds, stage)

    def add(self, metric: Metric, value: float, *tags: str) -> None:
        """Raise a counter; Ray refuses to raise one by zero."""
        if value > 0:
            if metric.name not in self._counters:
                self._counters[metric.name] = Counter(metric.name, metric.description, metric.all_tags)
            self._counters[metric.name].inc(value, dict(zip(metric.all_tags, (self._night, *tags), strict=True)))


def report_to_ray(tally: RunTally, plan: Plan) -> None:
    """Report to Ray's metrics what only the driver of a run knows, whenever the tally changes."""
    meters, reported = _Meters(plan), {metrics.UNITS_FAILED: 0, metrics.WORKER_DEATHS: 0}
    about = metrics.NIGHT_PROGRESS
    progress = Gauge(about.name, about.description, about.all_tags)

    def report(tally: RunTally) -> None:
        for metric, n in ((metrics.UNITS_FAILED, tally.n_units_failed), (metrics.WORKER_DEATHS, tally.n_worker_deaths)):
            meters.add(metric, n - reported[metric])
            reported[metric] = n
        progress.set(tally.progress, {NIGHT: night_label(plan.night)})

    tally.listen(report)


def gpu_shares(nodes: Sequence[Mapping[str, float]], n_actors: int) -> tuple[int, float]:
    """Return how many of `n_actors` fit on the nodes with GPUs, and the share of a GPU for each of them.

    An actor needs its share of one GPU on one node; an actor that does not fit would wait for ever.

    Args:
        nodes: The resources of each node, by name.
        n_actors: Requested number of actors.
    """
    with_gpus = [node for node in nodes if node.get("GPU", 0) >= 1]
    n_gpus = sum(int(node["GPU"]) for node in with_gpus)
    if not n_gpus:
        return n_actors, 0.0
    on_one_gpu = math.ceil(n_actors / n_gpus)
    room = sum(min(int(node["GPU"]) * on_one_gpu, int(node.get("CPU", 0) / ACTOR_CPUS)) for node in with_gpus)
    # Ray's resources have a resolution of 1e-4.
    return max(1, min(n_actors, room)), math.floor(1e4 / on_one_gpu) / 1e4


def _nodes() -> list[dict[str, float]]:
    with ray_errors():
        return [node["Resources"] for node in ray.nodes() if node["Alive"]]
