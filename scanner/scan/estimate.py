"""Estimate the cost of a survey from the measurement of a machine, which `scanner.scan.measure` makes."""

import heapq
from collections.abc import Iterable, Sequence

from pydantic import Field

from infra.frozen import Frozen
from scanner.scan.planned_input import UnitSize

SKIPPED_ROW_BYTES = 26
"""Size of a skipped row in a unit file: its id and its position."""


class Measured(Frozen):
    """Measurement of one worker on one machine, with one unit of the input."""

    unit_id: str
    threads: int = Field(ge=1)
    n_scored: int
    n_candidates: int
    """Scored rows at or above the threshold of candidates."""
    n_shown: int
    """Number of scored rows that readers are shown."""
    start_s: float
    """Time to load the networks and measure the sweep's margin."""
    cut_per_s: float = Field(gt=0)
    """Rows decoded and cut out, on one core."""
    score_per_s: float = Field(gt=0)
    """Rows scored, on `threads` cores."""
    s_per_map: float
    """Time for the maps of a candidate, on `threads` cores; 0 without maps."""
    s_per_photometry: float
    """Time for the photometry of a candidate, with or without maps; 0 if the scan makes no maps, as it then measures none."""
    fetch_bytes_per_s: float = Field(gt=0)
    """Speed of reading the input; recently read files come from memory."""
    written_bytes_per_row: float
    written_bytes_per_map: float
    """Size of a candidate's maps, which the unit file and the candidate file both hold."""
    memory_bytes: int
    """Peak memory of the whole process so far."""


class Estimate(Frozen):
    """Cost of scanning units."""

    n_units: int
    n_rows: int
    """Rows that are scored."""
    n_maps: int
    """Candidates with maps, if the share of candidates is that of the measured rows."""
    workers: int
    threads: int
    """Cores of a worker."""
    wall_hours: float
    core_hours: float
    read_bytes: int
    written_bytes: int
    memory_bytes_per_worker: int
    memory_bytes: int
    """Memory of all workers together."""
    limited_by: str
    """`computing` or `reading`, whichever takes longer; both run at the same time."""


def estimate(measured: Measured, units: Sequence[UnitSize], workers: int, maps_per_unit: int = 0) -> Estimate:
    """Estimate the cost of scanning `units` on `workers` equal workers, which each fetch as fast as the measured one.

    Raises:
        ValueError: there is no unit, or `workers` is less than 1.
    """
    if min(len(units), workers) < 1:
        raise ValueError(f"units and workers must be >= 1, got {len(units)} and {workers}")
    n_workers = min(workers, len(units))
    core_s_per_row = 1 / measured.cut_per_s + measured.threads / measured.score_per_s
    share = measured.n_candidates / max(measured.n_scored, 1)
    n_maps = [min(maps_per_unit, round(share * unit.n_rows)) for unit in units]
    s_per_row = core_s_per_row / measured.threads + share * measured.s_per_photometry
    compute_s = [s_per_row * unit.n_rows + n * measured.s_per_map for unit, n in zip(units, n_maps, strict=True)]
    fetch_s = [unit.read_bytes / measured.fetch_bytes_per_s for unit in units]
    n_rows = sum(unit.n_rows for unit in units)
    return Estimate(
        n_units=len(units),
        n_rows=n_rows,
        n_maps=sum(n_maps),
        workers=n_workers,
        threads=measured.threads,
        wall_hours=(measured.start_s + _last_end(map(max, compute_s, fetch_s), n_workers)) / 3600,
        core_hours=measured.threads * (sum(compute_s) + n_workers * measured.start_s) / 3600,
        read_bytes=sum(unit.read_bytes for unit in units),
        written_bytes=round(
            n_rows * measured.written_bytes_per_row
            + sum(unit.n_skipped for unit in units) * SKIPPED_ROW_BYTES
            + 2 * sum(n_maps) * measured.written_bytes_per_map
        ),
        memory_bytes_per_worker=measured.memory_bytes,
        memory_bytes=n_workers * measured.memory_bytes,
        limited_by="computing" if sum(compute_s) >= sum(fetch_s) else "reading",
    )


def _last_end(seconds: Iterable[float], n_workers: int) -> float:
    """Return when the last worker ends, if each takes the next unit as soon as it is free."""
    ends = [0.0] * n_workers
    for needed in seconds:
        heapq.heapreplace(ends, ends[0] + needed)
    return max(ends)
