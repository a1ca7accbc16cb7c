"""Batches: rows of a unit that go through the networks together."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from scanner.sources.cutouts import Cutout
from scanner.vocabulary.geometry import Geometry, Stamps
from scanner.vocabulary.rejections import Rejection

Row = Cutout | Rejection


@dataclass(frozen=True)
class CutoutBatch:
    """Cutouts of some rows, and the rejected rows among them; each row is given by its index in the unit."""

    rows: NDArray[np.int64]
    """Row indices of the cutouts, `[n]`."""
    stamps: Stamps
    """Images by band, `[n, y, x]` float32, all finite, in the networks' geometry."""
    notes: Sequence[tuple[str, ...]]
    """Changes made to the pixels of each cutout, `[n]`."""
    rejected: Sequence[tuple[int, Rejection]] = ()
    """Row index and reason of each rejected row."""
    zero_points_ab_mag: Mapping[str, float] = field(default_factory=dict)
    """AB magnitude of one unit of the images, by band; the same in all batches of a unit, without bands that state none."""

    @property
    def n_rows(self) -> int:
        return len(self.rows) + len(self.rejected)


def batches_of(rows: Iterable[Row], geometry: Geometry, batch_size: int) -> Iterator[CutoutBatch]:
    """Yield rows in order, `batch_size` at a time, numbered from 0; read only the rows of each batch."""
    numbered = enumerate(rows)
    for batch in iter(lambda: list(islice(numbered, batch_size)), []):
        cutouts = [(number, row) for number, row in batch if isinstance(row, Cutout)]
        rejected = [(number, row) for number, row in batch if isinstance(row, Rejection)]
        yield CutoutBatch(
            np.array([number for number, _ in cutouts], np.int64),
            {band: _stacked(cutouts, band, grid.n_pixels) for band, grid in geometry.grids.items()},
            [cutout.notes for _, cutout in cutouts],
            rejected,
        )


def _stacked(cutouts: list[tuple[int, Cutout]], band: str, n_pixels: int) -> NDArray[np.float32]:
    images = [cutout.stamps[band] for _, cutout in cutouts]
    return np.stack(images) if images else np.empty((0, n_pixels, n_pixels), np.float32)
