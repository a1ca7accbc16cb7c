"""Estimate the cost of a survey from a measurement of this machine on a sample."""

import heapq
import resource
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from pydantic import Field

from infra.frozen import Frozen
from infra.store.storage import open_read
from scanner.catalogue.outcomes import candidate_mask
from scanner.catalogue.plan import Plan
from scanner.catalogue.unitfile import encode_table
from scanner.catalogue.units import Unit
from scanner.explain.candidate_maps import candidate_mapper
from scanner.networks.card_file import read_card
from scanner.scan.batch_reader import BatchReader
from scanner.scan.best_candidates import CandidateMapping
from scanner.scan.open_unit import open_unit
from scanner.scan.planned_input import UnitSize
from scanner.scan.score_table import ScanError
from scanner.scan.scoring import CutoutScanner, open_scanner
from scanner.sources.batches import CutoutBatch
from scanner.sources.survey import Survey
from scanner.vocabulary.geometry import GEOMETRIES
from scanner.vocabulary.rejections import Rejection

N_READ, N_SCORED, N_MAPPED = 2048, 256, 8
"""Number of rows that are cut out, of these that are scored, and of these that get maps, to measure the speed of each."""
SAMPLE_BYTES = 2**28
"""Bytes of one file that are read to measure the speed of reading."""
SKIPPED_ROW_BYTES = 26
"""Size of a skipped row in a unit file: its id and its position."""
_BLOCK_BYTES = 2**24


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


def measure(unit: Unit, plan: Plan, package: Path, threads: int, threshold: float | None = None) -> Measured:
    """Cut out, score and map the first rows of a unit as a worker does, and fetch the beginning of its largest file.

    Rows at or above `threshold`, by default that of the plan's candidates, count as shown.

    Raises:
        InputChangedError: a file changed since it was planned.
        ScanError: no row of the unit can be scored, or the unit is damaged.
    """
    begun = time.perf_counter()
    scanner = open_scanner(package, plan.config.model_copy(update={"maps_per_unit": 0}), threads)
    start_s = time.perf_counter() - begun
    cut_per_s, sample = _cut(unit, scanner, plan.described)
    if not sample:
        raise ScanError(f"unit {unit.unit_id}: no row can be scored, so nothing can be measured")
    # The first batch is slow because its kernels have not run before.
    scanner.score_batches(BatchReader(lambda: iter(sample[:1]), n_ahead=0))
    begun = time.perf_counter()
    table = scanner.score_batches(BatchReader(lambda: iter(sample), n_ahead=0))
    score_s = time.perf_counter() - begun
    of_candidate = _candidate_cost(package, table, sample[0]) if plan.config.maps_per_unit else _CandidateCost(0.0, 0.0, 0.0)
    largest = max(unit.files.values(), key=lambda file: file.size)
    return Measured(
        unit_id=unit.unit_id,
        threads=threads,
        n_scored=table.num_rows,
        n_candidates=_n_above(table, plan.config.candidate_threshold),
        n_shown=_n_above(table, plan.config.candidate_threshold if threshold is None else threshold),
        start_s=start_s,
        cut_per_s=cut_per_s,
        score_per_s=table.num_rows / score_s,
        s_per_map=of_candidate.s_per_map,
        s_per_photometry=of_candidate.s_per_photometry,
        fetch_bytes_per_s=_fetch_rate(largest.uri),
        written_bytes_per_row=len(encode_table(table)) / table.num_rows,
        written_bytes_per_map=of_candidate.bytes_per_map,
        # The system counts in kilobytes on Linux.
        memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )


def _n_above(table: pa.Table, threshold: float) -> int:
    return candidate_mask(table, threshold).to_pylist().count(True)


class _CandidateCost(NamedTuple):
    """Work on one candidate that a scan explains."""

    s_per_photometry: float
    s_per_map: float
    bytes_per_map: float


def _candidate_cost(package: Path, table: pa.Table, batch: CutoutBatch) -> _CandidateCost:
    """Measure the photometry of the first batch, and the maps of its best rows, as if all of them were candidates."""
    card = read_card(package)
    mapping = CandidateMapping(candidate_mapper(package, card), 0.0, N_MAPPED, GEOMETRIES[card.geometry])
    p_lens = table["p_lens"].to_numpy()[: len(batch.rows)]
    # As above, the kernels must have run before.
    mapping.candidates().offer(batch, p_lens)
    begun = time.perf_counter()
    found = mapping.candidates()
    found.offer(batch, p_lens)
    photometry_s = time.perf_counter() - begun
    mapping.with_maps(table, found)
    begun = time.perf_counter()
    mapped = mapping.with_maps(table, found)
    maps_s = time.perf_counter() - begun
    n = min(N_MAPPED, len(batch.rows))
    n_bytes = len(encode_table(mapped)) - len(encode_table(table))
    return _CandidateCost(photometry_s / len(batch.rows), maps_s / n, n_bytes / n)


def _cut(unit: Unit, scanner: CutoutScanner, survey: Survey) -> tuple[float, list[CutoutBatch]]:
    """Return the number of cutouts made per second, and batches of some of them, numbered from zero."""
    sample: list[CutoutBatch] = []
    begun, n_cut, n_kept = time.perf_counter(), 0, 0
    opened = open_unit(unit, scanner.geometry, scanner.batch_size, survey=survey)
    try:
        with closing(opened.batches) as batches:
            for batch in batches:
                n_new = len(batch.rows)
                n_cut += n_new
                if n_new and n_kept < N_SCORED:
                    sample.append(replace(batch, rows=np.arange(n_kept, n_kept + n_new), rejected=()))
                    n_kept += n_new
                if n_cut >= N_READ:
                    break
    except Rejection as rejection:
        raise ScanError(f"unit {unit.unit_id}: {rejection}") from rejection
    return n_cut / max(time.perf_counter() - begun, 1e-9), sample


def _fetch_rate(uri: str) -> float:
    """Return the bytes read per second."""
    begun, n_read = time.perf_counter(), 0
    with open_read(uri) as file:
        while n_read < SAMPLE_BYTES and (block := file.read(_BLOCK_BYTES)):
            n_read += len(block)
    return n_read / max(time.perf_counter() - begun, 1e-9)
