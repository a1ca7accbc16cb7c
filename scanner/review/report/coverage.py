"""The area of the sky that a scan looked at, as HEALPix cells that grow with the area: memory does not grow with the rows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scanner.hats.sky import healpix_29
from scanner.review.report.projection import middle_of

Floats = NDArray[np.float64]
FINEST_ORDER = 13
"""HEALPix order of the smallest cells, 0.43 arcmin."""
FOOTPRINT_ORDER = 10
"""HEALPix order of the largest cells, 3.4 arcmin, that are chosen because few objects lie in each."""
MOST_KEPT, MOST_DRAWN = 60_000, 3000
"""Largest numbers of cells in memory and on a map."""
_ROWS_PER_CELL = 5
"""Mean number of rows below which cells grow: else a map of a scanned area would have holes between its objects."""
_HEALPIX_ORDER = 29
_SQUARE_DEGREES = 4 * np.pi * np.degrees(1) ** 2


@dataclass(frozen=True)
class Cells:
    """HEALPix cells of one order, nested."""

    order: int
    number: NDArray[np.int64]
    """`[cell]`, ascending."""
    is_scored: NDArray[np.bool_]
    """`[cell]`: whether an object in it has a score."""

    @property
    def scored_square_degrees(self) -> float:
        """Area of the cells that hold a scored object."""
        return float(self.is_scored.sum() * _SQUARE_DEGREES / (12 * 4**self.order))

    @property
    def side_deg(self) -> float:
        """Square root of a cell's area."""
        return float(np.sqrt(_SQUARE_DEGREES / (12 * 4**self.order)))

    def corners(self) -> tuple[Floats, Floats]:
        """Return RA and Dec of the corners, `[cell, 4]` each, in degrees."""
        from cdshealpix import nested

        lon, lat = nested.vertices(self.number.astype(np.uint64), self.order, num_threads=1)
        return np.asarray(lon.deg), np.asarray(lat.deg)

    def centres(self) -> tuple[Floats, Floats]:
        """Return RA and Dec of the centres, `[cell]` each, in degrees."""
        from cdshealpix import nested

        lon, lat = nested.healpix_to_lonlat(self.number.astype(np.uint64), self.order, num_threads=1)
        return np.asarray(lon.deg), np.asarray(lat.deg)

    def middle(self) -> tuple[float, float, float]:
        """Return RA and Dec of the middle of the centres, and their largest distance from it, in degrees; needs a cell."""
        return middle_of(*self.centres())


class Coverage:
    """Cells in which rows lie, gathered batch by batch."""

    def __init__(self) -> None:
        self._order = FINEST_ORDER
        self._number = np.zeros(0, np.int64)
        self._rows = np.zeros((0, 2), np.int64)
        """`[cell, (all rows, scored rows)]`."""

    def add(self, ra_deg: Floats, dec_deg: Floats, is_scored: NDArray[np.bool_]) -> None:
        """Add rows `[n]` with finite positions."""
        number = healpix_29(ra_deg, dec_deg) >> 2 * (_HEALPIX_ORDER - self._order)
        rows = np.stack([np.ones(len(number), np.int64), is_scored.astype(np.int64)], axis=1)
        self._number, self._rows = _summed(np.concatenate([self._number, number]), np.concatenate([self._rows, rows]))
        while len(self._number) > MOST_KEPT:
            self._order -= 1
            self._number, self._rows = _summed(self._number >> 2, self._rows)

    def cells(self) -> Cells:
        """Return the cells for a map: at most `MOST_DRAWN`, and large enough that few cells inside the area are empty."""
        order, number, rows = self._order, self._number, self._rows
        while len(number) > MOST_DRAWN or (_is_sparse(rows) and order > FOOTPRINT_ORDER):
            order -= 1
            number, rows = _summed(number >> 2, rows)
        return Cells(order, number, rows[:, 1] > 0)


def _is_sparse(rows: NDArray[np.int64]) -> bool:
    return bool(len(rows) and rows[:, 0].mean() < _ROWS_PER_CELL)


def _summed(number: NDArray[np.int64], rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return each number once, ascending, and the sums of its rows."""
    found, place = np.unique(number, return_inverse=True)
    sums = np.stack([np.bincount(place, of, len(found)) for of in rows.T], axis=1) if len(found) else rows[:0]
    return found, sums.astype(np.int64)
