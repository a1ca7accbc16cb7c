"""Stamps of many objects at once, identical to the bit to those of `to_cutout`, for windows that need only a crop or a regrid.

Every other object goes through `to_cutout` itself, which alone decides whether pixels are filled, padded or rejected.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from infra.numba_loops import compiled_exactly
from scanner.preprocess.regridding import AxisRegrid, axis_regrid, regrid_window
from scanner.sources.batches import CutoutBatch
from scanner.sources.cutouts import MAX_VALUE, MIN_RELATIVE_SPAN, MIN_SPAN, is_covered, is_possible, to_cutout
from scanner.vocabulary.band_image import BandImage
from scanner.vocabulary.geometry import Geometry, Grid
from scanner.vocabulary.rejections import Rejection

_MARGIN = 2.0
"""Safety factor: images within this factor of a limit go to `to_cutout`, whose checks differ by rounding."""
_INFINITY_BITS = 0x7F800000


@dataclass(frozen=True)
class Windows:
    """Square windows of one band in shared rows: row `i` of window `w` is `rows[(y[w] + i) % capacity, x[w] : x[w] + side]`."""

    rows: NDArray[np.float32]
    """Rows of the image, `[capacity, x]`."""
    y: NDArray[np.int64]
    x: NDArray[np.int64]
    is_whole: NDArray[np.bool_]
    """Flags `[w]`: true if all pixels of the window lie inside the image."""
    side: int
    pixel_scale_arcsec: float


class BatchBuilder:
    """Builds a batch, with one slot for each of its rows."""

    def __init__(
        self, rows: NDArray[np.int64], geometry: Geometry, zero_points_ab_mag: Mapping[str, float] | None = None
    ) -> None:
        n = len(rows)
        self._rows, self._geometry = rows, geometry
        self._zero_points = dict(zero_points_ab_mag or {})
        self._stamps = {band: np.empty((n, grid.n_pixels, grid.n_pixels), np.float32) for band, grid in geometry.grids.items()}
        self._notes: list[tuple[str, ...]] = [()] * n
        self._rejected: dict[int, Rejection] = {}

    def reject(self, slot: int, rejection: Rejection) -> None:
        self._rejected[slot] = rejection

    def fill(
        self, slots: NDArray[np.int64], windows: Mapping[str, Windows], images: Callable[[int], Mapping[str, BandImage]]
    ) -> None:
        """Fill some slots.

        Args:
            slots: Slot of each window, `[w]`.
            windows: Windows of each band, `[w]`.
            images: Function that returns the images of a slot for `to_cutout`; called for windows that are not clean.
        """
        is_clean = np.ones(len(slots), dtype=bool)
        for band, grid in self._geometry.grids.items():
            is_clean &= cut_stamps(windows[band], grid, slots, self._stamps[band])
        for slot in slots[~is_clean].tolist():
            try:
                cutout = to_cutout(images(slot), self._geometry)
            except Rejection as rejection:
                self.reject(slot, rejection)
                continue
            self._notes[slot] = cutout.notes
            for band, stamp in cutout.stamps.items():
                self._stamps[band][slot] = stamp

    def batch(self) -> CutoutBatch:
        """Return the batch, after all slots are filled or rejected."""
        if not self._rejected:
            return CutoutBatch(self._rows, self._stamps, self._notes, zero_points_ab_mag=self._zero_points)
        kept = np.array([slot for slot in range(len(self._rows)) if slot not in self._rejected], np.int64)
        return CutoutBatch(
            self._rows[kept],
            {band: stamps[kept] for band, stamps in self._stamps.items()},
            [self._notes[slot] for slot in kept],
            [(int(self._rows[slot]), rejection) for slot, rejection in sorted(self._rejected.items())],
            self._zero_points,
        )


def cut_stamps(windows: Windows, grid: Grid, slots: NDArray[np.int64], out: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Write the stamp of window `w` to `out[slots[w]]`; return `[w]`: true if it equals `to_cutout` bit for bit, else void."""
    regrid = axis_regrid(windows.side, windows.pixel_scale_arcsec, grid.n_pixels, grid.pixel_scale_arcsec)
    n_windows = len(slots)
    if not (
        is_possible((windows.side, windows.side), windows.pixel_scale_arcsec)
        and is_covered(np.outer(regrid.coverage, regrid.coverage))
    ):
        return np.zeros(n_windows, dtype=bool)
    ranges = np.zeros((n_windows, 2, 2), np.int32)
    if regrid.crop_start is not None:
        window_views = windows.rows.view(np.int32), windows.y, windows.x, windows.is_whole, windows.side
        _crop(*window_views, regrid.crop_start, slots, out.view(np.int32), ranges)
    else:
        _regrid(windows, regrid, slots, out, ranges)
    return windows.is_whole & _vary_well(ranges).all(axis=1)


def _vary_well(ranges: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return `[...]`: true if lowest and highest value, `[..., 2]` from `_range`, safely pass the checks of `to_cutout`."""
    is_finite = (ranges[..., 0] > ~_INFINITY_BITS) & (ranges[..., 1] < _INFINITY_BITS)
    values = np.where(is_finite[..., None], ranges ^ ((ranges >> 31) & 0x7FFFFFFF), 0).astype(np.int32)
    low, high = np.moveaxis(values.view(np.float32).astype(np.float64), -1, 0)
    largest = np.maximum(np.abs(low), np.abs(high))
    needed = np.maximum(MIN_RELATIVE_SPAN * largest, MIN_SPAN)
    return is_finite & (largest <= MAX_VALUE / _MARGIN) & (high - low > _MARGIN * needed)


@compiled_exactly
def _range(bits: NDArray[np.int32], y: int, x: int, n_rows: int, n_columns: int, out: NDArray[np.int32]) -> None:
    """Find the lowest and the highest value of a window, as integers ordered like the floats; non-finite ones lie outside."""
    low, high = np.int32(0x7FFFFFFF), np.int32(-0x80000000)
    for i in range(n_rows):
        row = bits[(y + i) % len(bits), x : x + n_columns]
        for j in range(n_columns):
            value = row[j] ^ ((row[j] >> 31) & np.int32(0x7FFFFFFF))
            low, high = min(low, value), max(high, value)
    out[0], out[1] = low, high


@compiled_exactly
def _crop(
    bits: NDArray[np.int32],
    y: NDArray[np.int64],
    x: NDArray[np.int64],
    is_whole: NDArray[np.bool_],
    side: int,
    start: int,
    slots: NDArray[np.int64],
    out: NDArray[np.int32],
    ranges: NDArray[np.int32],
) -> None:
    """Copy the middle of each window, from its row and column `start` on; set `ranges[w]` of the window and of the stamp."""
    n = out.shape[1]
    for w in range(len(slots)):
        if not is_whole[w]:
            continue
        _copied(bits, y[w] + start, x[w] + start, out[slots[w]], ranges[w, 1])
        if n == side:
            ranges[w, 0] = ranges[w, 1]
        else:
            _range(bits, y[w], x[w], side, side, ranges[w, 0])


@compiled_exactly
def _copied(bits: NDArray[np.int32], y: int, x: int, stamp: NDArray[np.int32], out: NDArray[np.int32]) -> None:
    """Copy a window to a stamp, and find its lowest and highest value as `_range` does, while a row is in the cache."""
    low, high, n = np.int32(0x7FFFFFFF), np.int32(-0x80000000), len(stamp)
    for i in range(n):
        row, copy = bits[(y + i) % len(bits), x : x + n], stamp[i]
        for j in range(n):
            copy[j] = row[j]
            value = row[j] ^ ((row[j] >> 31) & np.int32(0x7FFFFFFF))
            low, high = min(low, value), max(high, value)
    out[0], out[1] = low, high


@compiled_exactly
def _ranges(
    bits: NDArray[np.int32],
    y: NDArray[np.int64],
    x: NDArray[np.int64],
    is_whole: NDArray[np.bool_],
    side: int,
    ranges: NDArray[np.int32],
) -> None:
    """Set `ranges[w]` of each window."""
    for w in range(len(y)):
        if is_whole[w]:
            _range(bits, y[w], x[w], side, side, ranges[w])


def _regrid(
    windows: Windows, regrid: AxisRegrid, slots: NDArray[np.int64], out: NDArray[np.float32], ranges: NDArray[np.int32]
) -> None:
    """Regrid each window to another grid; set `ranges[w]` of the window and of the stamp."""
    window_views = windows.rows.view(np.int32), windows.y, windows.x, windows.is_whole, windows.side
    _ranges(*window_views, ranges[:, 0])
    n = out.shape[1]
    axis = regrid.starts, regrid.weights
    # `regrid_window` is compiled in another file, so Python calls it: a cached loop does not notice changes of loops it calls.
    for w in np.flatnonzero(windows.is_whole):
        regrid_window(windows.rows, windows.y[w], windows.x[w], windows.side, *axis, *axis, out[slots[w]])
    stamps = out.view(np.int32).reshape(-1, n)
    _ranges(stamps, slots * n, np.zeros_like(slots), windows.is_whole, n, ranges[:, 1])
