"""The selection of the rows of a unit that are read, and of those that are rejected without being read."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scanner.vocabulary.geometry import Geometry
from scanner.vocabulary.rejections import Rejection

if TYPE_CHECKING:
    # Not imported: the process that hands out units reads no pixels, and the compiled loops behind them take half a second.
    from scanner.sources.batches import CutoutBatch

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class RowSelection:
    """Rows by their numbers among the rows that the plan scores of a unit, in the order of its files, from 0.

    The rows read and the rows rejected together are the selected rows. A batch of a selection numbers its rows by their
    order among the selected rows; if all rows are selected, these are their numbers in the unit.
    """

    read: tuple[int, ...] | None = None
    """Numbers of the rows to read, ascending; None for all rows that are not in `rejected`."""
    rejected: Mapping[int, Rejection] = field(default_factory=dict)
    """Rejection of each row that is not read, by its number."""

    def __post_init__(self) -> None:
        if self.read is not None and (both := sorted(set(self.read) & set(self.rejected))):
            raise ValueError(f"a row is either read or rejected unread, got both for rows {both}")

    def rows_to_read(self, n_rows: int) -> Rows:
        """Return the numbers of the rows to read, `[n]`, ascending, of a unit with `n_rows` rows to score."""
        if self.read is not None:
            return np.array(self.read, np.int64)
        return np.delete(np.arange(n_rows), sorted(self.rejected))

    def n_selected(self, n_rows: int) -> int:
        """Return the number of selected rows of a unit with `n_rows` rows to score."""
        return len(self.rows_to_read(n_rows)) + len(self.rejected)

    def batches(
        self, begin: "Callable[[Rows], Iterator[CutoutBatch]]", n_rows: int, geometry: Geometry
    ) -> "Iterator[CutoutBatch]":
        """Yield the rows rejected unread, then the batches that `begin` yields for the rows to read.

        Args:
            begin: Function that yields batches whose rows are indices into the array it gets.
            n_rows: Number of rows of the unit to score.
            geometry: Geometry of the stamps.
        """
        rows, unread = self.rows_to_read(n_rows), np.array(sorted(self.rejected), np.int64)
        selected = np.union1d(rows, unread)
        number = np.searchsorted(selected, rows)
        if self.rejected:
            numbers = np.searchsorted(selected, unread)
            yield _no_stamps(geometry, [(int(i), self.rejected[int(row)]) for i, row in zip(numbers, unread, strict=True)])
        for batch in begin(rows):
            rejected = [(int(number[i]), rejection) for i, rejection in batch.rejected]
            yield replace(batch, rows=number[batch.rows], rejected=rejected)


ALL_ROWS = RowSelection()


def _no_stamps(geometry: Geometry, rejected: list[tuple[int, Rejection]]) -> "CutoutBatch":
    from scanner.sources.batches import CutoutBatch

    empty = {band: np.empty((0, grid.n_pixels, grid.n_pixels), np.float32) for band, grid in geometry.grids.items()}
    return CutoutBatch(np.empty(0, np.int64), empty, (), rejected)
