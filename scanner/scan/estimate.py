"""Estimate the cost of a survey from a measurement of this machine on a sample."""

import math
import resource
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydantic import Field

from infra.frozen import Frozen
from infra.store.storage import open_read
from scanner.catalogue.plan import Plan
from scanner.catalogue.unitfile import encode_table
from scanner.catalogue.units import Unit
from scanner.scan.batch_reader import BatchReader
from scanner.scan.open_unit import open_unit
from scanner.scan.score_table import ScanError
from scanner.scan.scoring import CutoutScanner, open_scanner
from scanner.sources.batches import CutoutBatch
from scanner.vocabulary.rejections import Rejection

N_READ, N_SCORED = 2048, 256
"""Number of rows that are cut out, and of these that are scored, to measure the speed of both."""
SAMPLE_BYTES = 2**28
"""Bytes of one file that are read to measure the speed of reading."""
_BLOCK_BYTES = 2**24


class Measured(Frozen):
    """Measurement of one worker on one machine, with one unit of the input."""

    threads: int = Field(ge=1)
    n_scored: int
    start_s: float
    """Time to load the networks and measure the sweep's margin."""
    cut_per_s: float = Field(gt=0)
    """Rows decoded and cut out, on one core."""
    score_per_s: float = Field(gt=0)
    """Rows scored, on `threads` cores."""
    fetch_bytes_per_s: float = Field(gt=0)
    """Speed of reading the input; recently read files come from memory."""
    written_bytes_per_row: float
    memory_bytes: int
    """Peak memory of the whole process so far."""
    n_rows: int
    """Number of rows of the unit."""
    read_bytes: int
    """Size of the unit's files."""


class Estimate(Frozen):
    """Cost of a number of units like the measured one."""

    n_units: int
    n_rows: int
    workers: int
    wall_hours: float
    core_hours: float
    read_bytes: int
    written_bytes: int
    memory_bytes: int
    """Memory of all workers together."""
    limited_by: str
    """`computing` or `fetching`, whichever takes longer for a unit; both run at the same time."""


def estimate(measured: Measured, n_units: int, workers: int) -> Estimate:
    """Estimate the cost of `n_units` units on `workers` equal workers, which each fetch as fast as the measured one.

    Raises:
        ValueError: `n_units` or `workers` is less than 1.
    """
    if min(n_units, workers) < 1:
        raise ValueError(f"units and workers must be >= 1, got {n_units} and {workers}")
    core_s = measured.n_rows * (1 / measured.cut_per_s + measured.threads / measured.score_per_s)
    compute_s, fetch_s = core_s / measured.threads, measured.read_bytes / measured.fetch_bytes_per_s
    rounds = math.ceil(n_units / workers)
    return Estimate(
        n_units=n_units,
        n_rows=n_units * measured.n_rows,
        workers=workers,
        wall_hours=(measured.start_s + rounds * max(compute_s, fetch_s)) / 3600,
        core_hours=(n_units * core_s + min(workers, n_units) * measured.start_s * measured.threads) / 3600,
        read_bytes=n_units * measured.read_bytes,
        written_bytes=round(n_units * measured.n_rows * measured.written_bytes_per_row),
        memory_bytes=min(workers, n_units) * measured.memory_bytes,
        limited_by="computing" if compute_s >= fetch_s else "fetching",
    )


def measure(unit: Unit, plan: Plan, package: Path, threads: int) -> Measured:
    """Cut out and score the first rows of a unit as a worker does, and fetch the beginning of its largest file.

    Raises:
        InputChangedError: a file changed since it was planned.
        ScanError: no row of the unit can be scored, or the unit is damaged.
    """
    begun = time.perf_counter()
    scanner = open_scanner(package, plan.config, threads)
    start_s = time.perf_counter() - begun
    cut_per_s, sample = _cut(unit, scanner)
    if not sample:
        raise ScanError(f"unit {unit.unit_id}: no row can be scored, so nothing can be measured")
    # The first batch is slow because its kernels have not run before.
    scanner.score_batches(BatchReader(lambda: iter(sample[:1]), n_ahead=0))
    begun = time.perf_counter()
    table = scanner.score_batches(BatchReader(lambda: iter(sample), n_ahead=0))
    score_s = time.perf_counter() - begun
    largest = max(unit.files.values(), key=lambda file: file.size)
    return Measured(
        threads=threads,
        n_scored=table.num_rows,
        start_s=start_s,
        cut_per_s=cut_per_s,
        score_per_s=table.num_rows / score_s,
        fetch_bytes_per_s=_fetch_rate(largest.uri),
        written_bytes_per_row=len(encode_table(table)) / table.num_rows,
        # The system counts in kilobytes on Linux.
        memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        n_rows=unit.n_rows,
        read_bytes=sum(file.size for file in unit.files.values()),
    )


def _cut(unit: Unit, scanner: CutoutScanner) -> tuple[float, list[CutoutBatch]]:
    """Return the number of cutouts made per second, and batches of some of them, numbered from zero."""
    sample: list[CutoutBatch] = []
    begun, n_cut, n_kept = time.perf_counter(), 0, 0
    opened = open_unit(unit, scanner.geometry, scanner.batch_size)
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
