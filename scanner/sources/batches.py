"""Rows of a unit that go through the networks together."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from scanner.sources.cutouts import Cutout
from scanner.vocabulary.geometry import Geometry, Stamps
from scanner.vocabulary.rejections import Rejection

Row = Cutout | Rejection


@dataclass(frozen=True)
class CutoutBatch:
    """Cutouts of some rows, and the rows beside them that have none; each row by its place in the unit."""

    places: NDArray[np.int64]
    """`[n]`, of the cutouts."""
    stamps: Stamps
    """Band to `[n, y, x]` float32, all finite, in the networks' geometry."""
    notes: Sequence[tuple[str, ...]]
    """`[n]`: what had to be done to the pixels."""
    rejected: Sequence[tuple[int, Rejection]] = ()
    """Place and reason."""

    @property
    def n_rows(self) -> int:
        return len(self.places) + len(self.rejected)


def batches_of(rows: Iterable[Row], geometry: Geometry, batch_size: int, start: int = 0) -> Iterator[CutoutBatch]:
    """Rows in order, the first of them at the place `start`, `batch_size` at a time; reads them no faster than asked."""
    places = enumerate(rows, start)
    for batch in iter(lambda: list(islice(places, batch_size)), []):
        cutouts = [(place, row) for place, row in batch if isinstance(row, Cutout)]
        rejected = [(place, row) for place, row in batch if isinstance(row, Rejection)]
        yield CutoutBatch(
            np.array([place for place, _ in cutouts], np.int64),
            {band: _stacked(cutouts, band, grid.n_pixels) for band, grid in geometry.grids.items()},
            [cutout.notes for _, cutout in cutouts],
            rejected,
        )


def _stacked(cutouts: list[tuple[int, Cutout]], band: str, n_pixels: int) -> NDArray[np.float32]:
    images = [cutout.stamps[band] for _, cutout in cutouts]
    return np.stack(images) if images else np.empty((0, n_pixels, n_pixels), np.float32)
