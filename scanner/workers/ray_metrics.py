"""Report the metrics of a scan to Ray, whose nodes show them to Prometheus."""

import contextlib
from collections.abc import Callable
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.metrics import Counter, Gauge

from infra.private_apis import ray_is_client
from infra.ray.cluster import ray_errors
from scanner.catalogue.ledger import Outcome, Receipt
from scanner.catalogue.outcomes import SCORED
from scanner.catalogue.paths import night_label
from scanner.vocabulary import metrics
from scanner.vocabulary.metrics import NIGHT, Metric
from scanner.workers.run_tally import RunTally


class WorkerMeters:
    """Ray's counters of one process for one night."""

    def __init__(self, night: str | None) -> None:
        self._night = night_label(night)
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


class DriverMeters:
    """Ray's metrics of what only the driver of a run knows."""

    def __init__(self, night: str | None) -> None:
        self._meters, self._tags = WorkerMeters(night), {NIGHT: night_label(night)}
        self._reported = {metrics.UNITS_FAILED: 0, metrics.WORKER_DEATHS: 0}
        about = metrics.NIGHT_PROGRESS
        self._progress = Gauge(about.name, about.description, about.all_tags)

    def report(self, n_units_failed: int, n_worker_deaths: int, progress: float) -> None:
        """Set the metrics to the numbers of the run so far."""
        for metric, n in ((metrics.UNITS_FAILED, n_units_failed), (metrics.WORKER_DEATHS, n_worker_deaths)):
            self._meters.add(metric, n - self._reported[metric])
            self._reported[metric] = n
        self._progress.set(progress, self._tags)


def report_to_ray(tally: RunTally, night: str | None) -> None:
    """Report to Ray's metrics what only the driver of a run knows, whenever it changes.

    Raises:
        ClusterError: Ray is gone.
    """
    send = _on_cluster(night) if ray_is_client() else DriverMeters(night).report
    last: list[tuple[int, int, float]] = []

    def report(tally: RunTally) -> None:
        now = tally.n_units_failed, tally.n_worker_deaths, tally.progress
        if now not in last:
            last[:] = [now]
            send(*now)

    tally.listen(report)


def _on_cluster(night: str | None) -> Callable[[int, int, float], None]:
    """Return a function that reports from an actor: the process of a Ray client has no node that shows its metrics."""
    remote: Any = ray.remote(DriverMeters)
    with ray_errors():
        meters = remote.options(num_cpus=0, max_restarts=-1).remote(night)

    def send(*numbers: float) -> None:
        # A scan does not fail because of its metrics; if Ray is gone, the scan itself notices.
        with contextlib.suppress(RayError, ConnectionError):
            meters.report.remote(*numbers)

    return send
