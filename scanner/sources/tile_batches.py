"""Stamps of a tile's sources: four mosaics read side by side, once, front to back."""

import contextlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scanner.sources.batches import CutoutBatch
from scanner.sources.cutouts import Cutout, check_pixel_scale
from scanner.sources.mosaics import Mosaic
from scanner.sources.stamps import BatchBuilder, Windows
from scanner.sources.tiles import MAX_MOSAIC_BYTES, MAX_MOSAIC_PIXELS, Tile, TileCatalogue
from scanner.vocabulary.band_image import BandImage
from scanner.vocabulary.geometry import Geometry, Grid
from scanner.vocabulary.rejections import RejectCode, Rejection

_Places = NDArray[np.int64]


def tile_batches(tile: Tile, catalogue: TileCatalogue, geometry: Geometry, batch_size: int) -> Iterator[CutoutBatch]:
    """Every source of a tile exactly once, in the order of the mosaics' rows; `places` are positions in the catalogue.

    Sources outside the tile come first. A source near the edge stays at the centre of its stamp; what lies beyond the edge is
    padded with sky (note `padded`). Memory: of each mosaic as many rows as a stamp has and 16 MB more, whatever the tile's
    height; where mosaics of a tile lie rotated against each other, the rows between their views of a source too.

    Raises:
        Rejection: a mosaic is missing or damaged. What was given before does not count: every source is rejected for this.
            Raised by the first `next` where the headers tell, else as late as at the end, where sums are known.
        ValueError: `batch_size` < 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be >= 1, got {batch_size}")
    if not len(catalogue.object_ids):
        return
    with contextlib.ExitStack() as opened:
        bands = {
            band: opened.enter_context(contextlib.closing(_BandSources.open(band, tile.mosaics.get(band), catalogue, grid)))
            for band, grid in geometry.grids.items()
        }
        plan = _Plan.of(bands)
        for start in range(0, len(plan.order), batch_size):
            yield _batch(plan, slice(start, start + batch_size), geometry)
        for band in bands.values():
            band.finish()


def read_mosaics(uris: Mapping[str, str], geometry: Geometry) -> None:
    """Read all rows of a tile's mosaics, by their bands, one after the other.

    Raises:
        Rejection: as `tile_batches`.
    """
    for name in geometry.grids:
        with contextlib.closing(_open_mosaic(name, uris.get(name))) as mosaic, _of_band(name):
            mosaic.read_through()


def tile_cutouts(tile: Tile, catalogue: TileCatalogue, geometry: Geometry) -> list[Cutout | Rejection]:
    """Each source's cutout, or why there is none, in the catalogue's order; all of them in memory, so for small tiles."""
    n = len(catalogue.object_ids)
    rows: dict[int, Cutout | Rejection] = {}
    try:
        for batch in tile_batches(tile, catalogue, geometry, batch_size=64):
            for i, place in enumerate(batch.places):
                rows[int(place)] = Cutout({band: stamps[i] for band, stamps in batch.stamps.items()}, batch.notes[i])
            rows.update(batch.rejected)
    except Rejection as rejection:
        return [rejection] * n
    return [rows[place] for place in range(n)]


@dataclass(frozen=True)
class _BandSources:
    """A mosaic and the window about each source of the catalogue in it, `[n]` each."""

    name: str
    mosaic: Mosaic
    side: int
    """Of the windows, pixels."""
    positions: NDArray[np.float64]
    """`[n, 2]`: x, y of each source, pixel centres at integers, 0-based; NaN where it is not in front of the camera."""
    is_inside: NDArray[np.bool_]
    """Does the source lie in the mosaic?"""
    x: _Places
    """First column of the window, which may lie beyond the edge."""
    y: _Places

    @classmethod
    def open(cls, name: str, uri: str | None, catalogue: TileCatalogue, grid: Grid) -> "_BandSources":
        mosaic = _open_mosaic(name, uri)
        with _of_band(name):
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
        # The middle of the window is the middle of the stamp: for even sizes a corner between four pixels.
        # The small term keeps positions on whole pixels from falling to either side by rounding, differently in each band.
        starts = np.floor(np.where(is_inside[:, None], positions, 0) - side / 2 + 1 - 1e-3).astype(np.int64)
        return cls(name, mosaic, side, positions, is_inside, starts[:, 0], starts[:, 1])

    def outside(self, place: int) -> Rejection:
        (ny, nx), (x, y) = self.mosaic.shape, self.positions[place]
        detail = f"{self.name}: {self.mosaic.label}: the source lies at x={x:.1f}, y={y:.1f} of {nx}x{ny} px"
        return Rejection(RejectCode.OUTSIDE_TILE, detail)

    def keep(self, low: int, high: int) -> None:
        with _of_band(self.name):
            self.mosaic.keep(low, high)

    def windows(self, places: _Places) -> Windows:
        ny, nx = self.mosaic.shape
        x, y = self.x[places], self.y[places]
        is_whole = (x >= 0) & (y >= 0) & (x + self.side <= nx) & (y + self.side <= ny)
        return Windows(self.mosaic.rows, y, x, is_whole, self.side, self.mosaic.pixel_scale_arcsec)

    def image(self, place: int) -> BandImage:
        return self.mosaic.window(int(self.y[place]), int(self.x[place]), self.side)

    def finish(self) -> None:
        with _of_band(self.name):
            self.mosaic.finish()

    def close(self) -> None:
        self.mosaic.close()


@dataclass(frozen=True)
class _Plan:
    """In which order sources are cut, and the rows that this takes; arrays are `[n]`, in that order."""

    bands: dict[str, _BandSources]
    order: _Places
    """Places in the catalogue: sources outside the tile, then the others by their rows in the first mosaic."""
    n_outside: int
    low: dict[str, _Places]
    """The first row of a mosaic that this source or one after it needs."""
    high: dict[str, _Places]
    """The row after the last that this source needs."""

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

    def rejection(self, place: int) -> Rejection:
        """Of a source outside: for the first mosaic that it is outside of."""
        return next(band.outside(place) for band in self.bands.values() if not band.is_inside[place])

    def read(self, start: int, stop: int) -> int:
        """Read what source `start` needs, and as much more as fits; returns up to where before `stop` sources can be cut."""
        for name, band in self.bands.items():
            band.keep(int(self.low[name][start]), int(self.high[name][start]))
            is_missing = self.high[name][start:stop] > band.mosaic.stop
            if is_missing.any():
                stop = start + int(is_missing.argmax())
        return stop


def _batch(plan: _Plan, part: slice, geometry: Geometry) -> CutoutBatch:
    places = plan.order[part]
    builder = BatchBuilder(places, geometry)
    first, last = part.start, part.start + len(places)
    for slot in range(min(plan.n_outside, last) - first):
        builder.reject(slot, plan.rejection(int(places[slot])))
    at = max(first, plan.n_outside)
    while at < last:
        stop = plan.read(at, last)
        slots = np.arange(at - first, stop - first)
        windows = {name: band.windows(places[slots]) for name, band in plan.bands.items()}
        builder.fill(slots, windows, lambda slot: {name: band.image(places[slot]) for name, band in plan.bands.items()})
        at = stop
    return builder.batch()


def _open_mosaic(name: str, uri: str | None) -> Mosaic:
    if uri is None:
        raise Rejection(RejectCode.MISSING_BAND, f"{name}: the tile has no mosaic")
    with _of_band(name):
        return Mosaic(uri, MAX_MOSAIC_BYTES, MAX_MOSAIC_PIXELS)


@contextlib.contextmanager
def _of_band(name: str) -> Iterator[None]:
    """Say whose mosaic it is that is rejected."""
    try:
        yield
    except Rejection as rejection:
        raise Rejection(rejection.code, f"{name}: {rejection.detail}") from rejection


def _window_pixels(grid: Grid, pixel_scale_arcsec: float) -> int:
    """Mosaic pixels that cover `grid`, even where the grid is: the crop to the grid then needs no half pixel."""
    n = math.ceil(grid.side_arcsec / pixel_scale_arcsec - 1e-3)
    return n + (n - grid.n_pixels) % 2
