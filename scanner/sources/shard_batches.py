from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from infra.stopwatch import Stopwatch
from scanner.sources.batches import CutoutBatch
from scanner.sources.shards import Shard, ShardRows
from scanner.sources.stamps import BatchBuilder, Windows
from scanner.vocabulary.band_image import BandImage
from scanner.vocabulary.geometry import Geometry
from scanner.vocabulary.metrics import WorkStage


def shard_batches(
    shard: Shard, kept_rows: NDArray[np.int64], geometry: Geometry, batch_size: int, watch: Stopwatch | None = None
) -> Iterator[CutoutBatch]:
    """Yield some rows of a shard in order, `batch_size` at a time, with the same checks as for any other pixels.

    In the shard's own geometry the pixels stay unchanged. `rows` of the batches are indices into `kept_rows`. `watch` gets the
    time of cutting.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be >= 1, got {batch_size}")
    for start in range(0, len(kept_rows), batch_size):
        rows = kept_rows[start : start + batch_size]
        builder = BatchBuilder(np.arange(start, start + len(rows)), geometry)
        with (watch or Stopwatch()).timed(WorkStage.CUT):
            windows = {band: _windows(shard, band, rows) for band in geometry.grids}
            builder.fill(np.arange(len(rows)), windows, partial(_images, shard, rows))
        yield builder.batch()


def stream_batches(
    shard: ShardRows, kept_rows: NDArray[np.int64], geometry: Geometry, batch_size: int, watch: Stopwatch | None = None
) -> Iterator[CutoutBatch]:
    """Yield batches as `shard_batches`, with one batch of the shard in memory; a batch is smaller if rows are left out.

    Raises:
        ValueError: as `ShardRows.pieces`.
    """
    start = 0
    for piece in shard.pieces(batch_size):
        end = start + len(piece.object_ids)
        first, last = np.searchsorted(kept_rows, (start, end))
        for batch in shard_batches(piece, kept_rows[first:last] - start, geometry, batch_size, watch):
            yield replace(batch, rows=batch.rows + first, rejected=[(row + int(first), r) for row, r in batch.rejected])
        start = end


def _windows(shard: Shard, band: str, rows: NDArray[np.int64]) -> Windows:
    """Return the stamps of some rows as windows of one tall image, in which all stamps are stacked along y."""
    side, scale = shard.geometry.grids[band].n_pixels, shard.geometry.grids[band].pixel_scale_arcsec
    below = np.ascontiguousarray(shard.stamps[band]).reshape(-1, side)
    return Windows(below, side * rows, np.zeros_like(rows), np.ones(len(rows), dtype=bool), side, scale)


def _images(shard: Shard, rows: NDArray[np.int64], slot: int) -> dict[str, BandImage]:
    grids = shard.geometry.grids
    return {band: BandImage(stamps[rows[slot]], grids[band].pixel_scale_arcsec) for band, stamps in shard.stamps.items()}
