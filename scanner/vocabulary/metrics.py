"""Names, kinds, units and tags of the numbers that a run reports, to Prometheus, to a text file and to its own record."""

from dataclasses import dataclass
from enum import StrEnum

NIGHT = "night"
"""Tag of every metric; a tile is never a tag, because each value of a tag is a time series of its own."""


class MetricKind(StrEnum):
    """Kinds of metric, as Prometheus names them."""

    COUNTER = "counter"
    """A number that only grows while its process lives; Prometheus adds `_total` to its name."""
    GAUGE = "gauge"


class WorkStage(StrEnum):
    """Stages of the work on a unit; a worker reads one unit while it scores another, so their times overlap."""

    READ = "read"
    """Wait for the pixels and decode them, and read the unit's catalogue."""
    CUT = "cut"
    """Cut the stamps out of the pixels in memory, and check them."""
    NETWORKS = "networks"
    """Scale the stamps and score them, with the photometry of candidates."""
    MAPS = "maps"
    """Make the maps of candidates."""
    WRITE = "write"
    """Encode the unit, read it back and create its file."""


@dataclass(frozen=True)
class Metric:
    """A number that a run reports; its name in Prometheus begins with `ray_` if Ray's own endpoint reports it."""

    name: str
    kind: MetricKind
    unit: str
    """Unit of the values; `1` for a share."""
    description: str
    tags: tuple[str, ...] = ()
    """Tags besides `night`."""

    @property
    def all_tags(self) -> tuple[str, ...]:
        return (NIGHT, *self.tags)

    @property
    def sample_name(self) -> str:
        """Name of its samples in Prometheus' text format."""
        return f"{self.name}_total" if self.kind is MetricKind.COUNTER else self.name


ROWS_SCORED = Metric("lensscan_rows_scored", MetricKind.COUNTER, "rows", "Rows that the networks scored, in committed units.")
ROWS_REJECTED = Metric(
    "lensscan_rows_rejected", MetricKind.COUNTER, "rows", "Rejected rows by rejection code, in committed units.", ("code",)
)
UNITS_COMMITTED = Metric("lensscan_units_committed", MetricKind.COUNTER, "units", "Tiles or shards that are committed.")
UNITS_FAILED = Metric("lensscan_units_failed", MetricKind.COUNTER, "units", "Tiles or shards that a run gave up.")
CANDIDATES = Metric("lensscan_candidates", MetricKind.COUNTER, "rows", "Candidates in committed units.")
STAGE_SECONDS = Metric(
    "lensscan_stage_seconds",
    MetricKind.COUNTER,
    "s",
    "Seconds that workers spent in a stage of the units that they committed; stages overlap.",
    ("stage",),
)
STORE_RETRIES = Metric(
    "lensscan_store_retries",
    MetricKind.COUNTER,
    "requests",
    "Requests to S3 that were sent again after a failure or a damaged answer.",
)
WORKER_DEATHS = Metric(
    "lensscan_worker_deaths", MetricKind.COUNTER, "workers", "Workers that died or were killed, and were replaced."
)
OLDEST_UNPROMOTED_NIGHT = Metric(
    "lensscan_oldest_unpromoted_night_seconds",
    MetricKind.GAUGE,
    "s",
    "Age of the oldest plan of the catalogue whose night readers do not see yet; 0 if there is none.",
)
NIGHT_PROGRESS = Metric(
    "lensscan_night_progress", MetricKind.GAUGE, "1", "Share of the rows of the night that are scored or rejected, 0 to 1."
)
METRICS = (
    ROWS_SCORED,
    ROWS_REJECTED,
    UNITS_COMMITTED,
    UNITS_FAILED,
    CANDIDATES,
    STAGE_SECONDS,
    STORE_RETRIES,
    WORKER_DEATHS,
    OLDEST_UNPROMOTED_NIGHT,
    NIGHT_PROGRESS,
)
