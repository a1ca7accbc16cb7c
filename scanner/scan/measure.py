"""Measure on this machine how fast a worker reads, scores and explains the rows of a unit."""

import resource
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from infra.store.storage import open_read
from scanner.catalogue.outcomes import candidate_mask
from scanner.catalogue.plan import Plan
from scanner.catalogue.unitfile import encode_table
from scanner.catalogue.units import Unit
from scanner.explain.candidate_maps import candidate_mapper
from scanner.networks.card_file import read_card
from scanner.scan.batch_reader import BatchReader
from scanner.scan.best_candidates import CandidateMapping
from scanner.scan.errors import ScanError
from scanner.scan.estimate import Measured
from scanner.scan.open_unit import open_unit
from scanner.scan.scoring import CutoutScanner, open_scanner
from scanner.sources.batches import CutoutBatch
from scanner.sources.survey import Survey
from scanner.vocabulary.geometry import GEOMETRIES
from scanner.vocabulary.rejections import Rejection

N_READ, N_SCORED, N_MAPPED = 2048, 256, 8
"""Number of rows that are cut out, of these that are scored, and of these that get maps, to measure the speed of each."""
SAMPLE_BYTES = 2**28
"""Bytes of one file that are read to measure the speed of reading."""
_BLOCK_BYTES = 2**24


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
