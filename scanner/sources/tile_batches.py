"""Stamps of a tile's sources: the reader reads the four mosaics in parallel, once, front to back."""

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from infra.stopwatch import Stopwatch
from scanner.sources.batches import CutoutBatch
from scanner.sources.cutouts import check_pixel_scale
from scanner.sources.mosaics import Mosaic
from scanner.sources.stamps import BatchBuilder, Windows
from scanner.sources.tiles import MAX_MOSAIC_BYTES, MAX_MOSAIC_PIXELS, ON_SKY, Tile, TileCatalogue
from scanner.vocabulary.band_image import BandImage
from scanner.vocabulary.geometry import Geometry, Grid
from scanner.vocabulary.metrics import WorkStage
from scanner.vocabulary.rejections import RejectCode, Rejection

_Rows = NDArray[np.int64]


def tile_batches(
    tile: Tile, catalogue: TileCatalogue, geometry: Geometry, batch_size: int, watch: Stopwatch | None = None
) -> Iterator[CutoutBatch]:
    """Yield every source of a tile exactly once, in the order of the mosaics' rows; `rows` are indices in the catalogue.

    Sources outside the tile come first. A source near the edge stays at the centre of its stamp; pixels beyond the edge are
    padded with sky (note `padded`). Each mosaic takes the memory of as many rows as a stamp has and 16 MB more, for any height
    of the tile; if the mosaics of a tile are rotated against each other, also of the rows between the positions of a source.
    `watch` gets the time of cutting.

    Raises:
        Rejection: a mosaic is missing or damaged. The batches before are then invalid: every source is rejected for this.
            The first `next` raises it if the headers show the damage; else it may come as late as the end, with the sums.
        ValueError: `batch_size` < 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be >= 1, got {batch_size}")
    if not len(catalogue.object_ids):
        return
    with contextlib.ExitStack() as opened:
        bands = {
            band: opened.enter_context(contextlib.closing(_BandSources.open(band, tile, catalogue, grid)))
            for band, grid in geometry.grids.items()
        }
        plan = _Plan.of(bands)
        for start in range(0, len(plan.order), batch_size):
            yield _batch(plan, slice(start, start + batch_size), geometry, watch or Stopwatch())
        for band in bands.values():
            band.finish()


def read_mosaics(tile: Tile, geometry: Geometry) -> None:
    """Read all rows of a tile's mosaics, one mosaic after the other.

    Raises:
        Rejection: as `tile_batches`.
    """
    for name in geometry.grids:
        with contextlib.closing(_open_mosaic(name, tile)) as mosaic, _naming_band(name):
            mosaic.read_through()


@dataclass(frozen=True)
class _BandSources:
    """A mosaic and its window about each source of the catalogue, `[n]` each."""

    name: str
    mosaic: Mosaic
    side: int
    """Side of the windows, in pixels."""
    positions: NDArray[np.float64]
    """Positions `[n, 2]`: x, y of each source, pixel centres at integers, 0-based; NaN if it is not in front of the camera
    or has no position."""
    is_inside: NDArray[np.bool_]
    """Flags `[n]`: true if the source lies in the mosaic."""
    x: _Rows
    """First column of the window, which may lie outside the mosaic."""
    y: _Rows
    has_position: NDArray[np.bool_]
    """Flags `[n]`: true if the catalogue gives a position."""
    zero_point_ab_mag: float | None
    """AB magnitude of one unit of the mosaic; None if neither its header nor the description of the survey states it."""

    @classmethod
    def open(cls, name: str, tile: Tile, catalogue: TileCatalogue, grid: Grid) -> "_BandSources":
        mosaic = _open_mosaic(name, tile)
        with _naming_band(name):
            try:
                check_pixel_scale(mosaic.label, mosaic.pixel_scale_arcsec)
                side = _window_pixels(grid, mosaic.pixel_scale_arcsec)
                mosaic.reserve(side)
                positions = catalogue.positions(mosaic.header, mosaic.label)
            except BaseException:
                mosaic.close()
                raise
        ny, nx = mosaic.shape
        is_inside = np.all((positions >= -0.5) & (positions < np.array([nx, ny]) - 0.5), axis=1)
        # The middle of the window is the middle of the stamp: for even sizes it is a corner between four pixels.
        # The small term keeps rounding from moving positions on whole pixels to different sides in different bands.
        starts = np.floor(np.where(is_inside[:, None], positions, 0) - side / 2 + 1 - 1e-3).astype(np.int64)
        zero_point = None
        with contextlib.suppress(Rejection):
            zero_point = tile.survey.mosaics.zero_point_of(mosaic.header, mosaic.label)
        return cls(name, mosaic, side, positions, is_inside, starts[:, 0], starts[:, 1], catalogue.has_position, zero_point)

    def outside(self, row: int) -> Rejection:
        if not self.has_position[row]:
            return Rejection(RejectCode.OUTSIDE_TILE, f"the catalogue gives no position in {ON_SKY}")
        (ny, nx), (x, y) = self.mosaic.shape, self.positions[row]
        detail = f"{self.name}: {self.mosaic.label}: the source lies at x={x:.1f}, y={y:.1f} of {nx}x{ny} px"
        return Rejection(RejectCode.OUTSIDE_TILE, detail)

    def keep(self, low: int, high: int) -> None:
        with _naming_band(self.name):
            self.mosaic.keep(low, high)

    def windows(self, rows: _Rows) -> Windows:
        ny, nx = self.mosaic.shape
        x, y = self.x[rows], self.y[rows]
        is_whole = (x >= 0) & (y >= 0) & (x + self.side <= nx) & (y + self.side <= ny)
        return Windows(self.mosaic.rows, y, x, is_whole, self.side, self.mosaic.pixel_scale_arcsec)

    def image(self, row: int) -> BandImage:
        return self.mosaic.window(int(self.y[row]), int(self.x[row]), self.side)

    def finish(self) -> None:
        with _naming_band(self.name):
            self.mosaic.finish()

    def close(self) -> None:
        self.mosaic.close()


@dataclass(frozen=True)
class _Plan:
    """The order in which sources are cut, and the rows that each needs; arrays are `[n]`, in that order."""

    bands: dict[str, _BandSources]
    order: _Rows
    """Row indices in the catalogue: sources outside the tile, then the others by their rows in the first mosaic."""
    n_outside: int
    low: dict[str, _Rows]
    """First row of a mosaic that this source or a later one needs."""
    high: dict[str, _Rows]
    """Row after the last one that this source needs."""

    @classmethod
    def of(cls, bands: dict[str, _BandSources]) -> "_Plan":
        is_inside = np.logical_and.reduce([band.is_inside for band in bands.values()])
        order = np.lexsort((next(iter(bands.values())).y, is_inside))
        n_outside = int((~is_inside).sum())
        low, high = {}, {}
        for name, band in bands.items():
            y, ny = band.y[order], band.mosaic.shape[0]
            first = np.where(is_inside[order], np.maximum(y, 0), ny)
            low[name] = np.minimum.accumulate(first[::-1])[::-1]
            high[name] = np.minimum(y + band.side, ny)
        return cls(bands, order, n_outside, low, high)

    def rejection(self, row: int) -> Rejection:
        """Return the rejection of a source outside the tile, for the first mosaic that does not contain it."""
        return next(band.outside(row) for band in self.bands.values() if not band.is_inside[row])

    def read(self, start: int, stop: int) -> int:
        """Read the rows of source `start` and more that fit in memory; return the end, at most `stop`, of sources to cut."""
        for name, band in self.bands.items():
            band.keep(int(self.low[name][start]), int(self.high[name][start]))
            is_missing = self.high[name][start:stop] > band.mosaic.stop
            if is_missing.any():
                stop = start + int(is_missing.argmax())
        return stop


def _batch(plan: _Plan, part: slice, geometry: Geometry, watch: Stopwatch) -> CutoutBatch:
    rows = plan.order[part]
    zero_points = {name: band.zero_point_ab_mag for name, band in plan.bands.items() if band.zero_point_ab_mag is not None}
    builder = BatchBuilder(rows, geometry, zero_points)
    first, last = part.start, part.start + len(rows)
    for slot in range(min(plan.n_outside, last) - first):
        builder.reject(slot, plan.rejection(int(rows[slot])))
    at = max(first, plan.n_outside)
    while at < last:
        stop = plan.read(at, last)
        slots = np.arange(at - first, stop - first)
        with watch.timed(WorkStage.CUT):
            windows = {name: band.windows(rows[slots]) for name, band in plan.bands.items()}
            builder.fill(slots, windows, lambda slot: {name: band.image(rows[slot]) for name, band in plan.bands.items()})
        at = stop
    return builder.batch()


def _open_mosaic(name: str, tile: Tile) -> Mosaic:
    if name not in tile.mosaics:
        raise Rejection(RejectCode.MISSING_BAND, f"{name}: the tile has no mosaic")
    described = tile.survey.mosaics
    with _naming_band(name):
        return Mosaic(
            tile.mosaics[name],
            MAX_MOSAIC_BYTES,
            MAX_MOSAIC_PIXELS,
            described.extension,
            described.pixel_scale_arcsec,
            tile.files.get(name),
        )


@contextlib.contextmanager
def _naming_band(name: str) -> Iterator[None]:
    """Put the band of the rejected mosaic in front of the rejection's detail."""
    try:
        yield
    except Rejection as rejection:
        raise Rejection(rejection.code, f"{name}: {rejection.detail}") from rejection


def _window_pixels(grid: Grid, pixel_scale_arcsec: float) -> int:
    """Return how many mosaic pixels cover `grid`, even if the grid's number is even, so that the crop needs no half pixel."""
    n = math.ceil(grid.side_arcsec / pixel_scale_arcsec - 1e-3)
    return n + (n - grid.n_pixels) % 2
