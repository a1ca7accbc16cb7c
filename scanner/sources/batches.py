"""Batches: rows of a unit that go through the networks together."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress, islice

import numpy as np
from numpy.typing import NDArray

from scanner.preprocess.prepared_stamps import PreparedStamps
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

    def prepared(self) -> "CutoutBatch":
        """Return the same batch with stamps that keep their sky levels, once a network has measured these."""
        return replace(self, stamps=PreparedStamps.of(self.stamps))

    def of(self, chosen: NDArray[np.bool_]) -> "CutoutBatch":
        """Return some cutouts, by a mask `[n]`, with what is known about their sky, and without rejected rows."""
        notes = list(compress(self.notes, chosen))
        stamps = PreparedStamps.of(self.stamps).chosen(np.flatnonzero(chosen))
        return CutoutBatch(self.rows[chosen], stamps, notes, zero_points_ab_mag=self.zero_points_ab_mag)


def joined_batches(parts: Sequence[CutoutBatch]) -> CutoutBatch:
    """Return the cutouts of several batches of a unit as one batch, without rejected rows."""
    return CutoutBatch(
        np.concatenate([part.rows for part in parts]),
        PreparedStamps.joined([PreparedStamps.of(part.stamps) for part in parts]),
        [note for part in parts for note in part.notes],
        zero_points_ab_mag=parts[0].zero_points_ab_mag,
    )


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
