"""Survey tiles in Euclid MER layout: one mosaic a band and a source catalogue; stamps are cut in memory."""

import io
import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray

from infra.errors import LensscanError
from infra.storage import list_files
from scanner.pixels.cutouts import BandImage, Cutout, to_cutout
from scanner.pixels.fits import check_image, find_image, header_pixel_scale_arcsec, open_fits
from scanner.pixels.geometry import Geometry, Grid
from scanner.pixels.hdus import FitsFile, Hdu, scaled
from scanner.pixels.rejections import RejectCode, Rejection

MAX_MOSAIC_PIXELS = 32768**2
MAX_MOSAIC_BYTES = 2**33
MAX_CATALOGUE_BYTES = 2**33

_NAME = re.compile(
    r"EUC_MER_(?:BGSUB-MOSAIC-(?P<band>VIS|NIR-[YJH])|FINAL-CAT)_TILE(?P<tile>\d+)-[0-9A-Za-z]+"
    r"_(?P<stamp>\d{8}T\d{6}(?:\.\d+)?)Z_(?P<version>\d+\.\d+)\.fits(?:\.gz)?"
)
_CATALOGUE_COLUMNS = ("OBJECT_ID", "RIGHT_ASCENSION", "DECLINATION")
CATALOGUE = "catalogue"


class TileError(LensscanError, ValueError):
    """A tile that cannot be scanned at all: no catalogue, or one that cannot be read."""


@dataclass(frozen=True)
class Tile:
    """Where a tile lies; a band without mosaic is missing from `mosaics`."""

    tile_id: str
    mosaics: Mapping[str, str]
    """Band to URI."""
    catalogue: str


@dataclass(frozen=True)
class TileCatalogue:
    """Sources of a tile, `[n]` each, in the catalogue's order."""

    object_ids: NDArray[np.int64]
    ra: NDArray[np.float64]
    """deg, ICRS"""
    dec: NDArray[np.float64]
    """deg, ICRS"""

    def without(self, object_ids: Sequence[int]) -> "TileCatalogue":
        """The sources whose ids are not among these."""
        kept = ~np.isin(self.object_ids, np.array(object_ids, dtype=np.int64))
        return TileCatalogue(self.object_ids[kept], self.ra[kept], self.dec[kept])


def discover_tiles(root_uri: str) -> list[Tile]:
    """Every tile under a folder or prefix, nested or flat, sorted by tile number; the newest file where there are several.

    Raises:
        TileError: a tile has mosaics and no catalogue.
    """
    newest: dict[str, dict[str, tuple[tuple[str, str, str], str]]] = {}
    for file in list_files(root_uri):
        match = _NAME.fullmatch(file.uri.rpartition("/")[2])
        if match is None:
            continue
        role = (match["band"] or CATALOGUE).removeprefix("NIR-")
        roles = newest.setdefault(match["tile"], {})
        entry = ((match["stamp"], match["version"], file.uri), file.uri)
        roles[role] = max(roles.get(role, entry), entry)
    tiles: list[Tile] = []
    for tile_id, roles in sorted(newest.items()):
        uris = {role: uri for role, (_, uri) in roles.items()}
        if CATALOGUE not in uris:
            raise TileError(
                f"tile {tile_id}: {', '.join(sorted(uris))} but no catalogue named EUC_MER_FINAL-CAT_TILE{tile_id}-... beside"
            )
        catalogue = uris.pop(CATALOGUE)
        tiles.append(Tile(tile_id, MappingProxyType(uris), catalogue))
    return tiles


def read_tile_catalogue(uri: str) -> TileCatalogue:
    """Ids and positions from a FITS table; column names in any case.

    Raises:
        TileError: unreadable, a column missing, ids not integers, positions not finite or not on the sky.
    """
    try:
        file = open_fits(uri, MAX_CATALOGUE_BYTES)
        file.check_whole()
        for hdu in file.hdus:
            file.check_sums(hdu)
        with warnings.catch_warnings(), fits.open(io.BytesIO(file.data), memmap=False) as hdus:
            warnings.simplefilter("ignore")
            columns = _catalogue_columns(hdus)
    except TileError as error:
        raise TileError(f"catalogue {uri}: {error}") from error
    except Exception as error:  # astropy raises many types for tables that are none
        raise TileError(f"catalogue {uri}: cannot be read: {error}") from error
    ids, ra, dec = columns
    if ids.ndim != 1 or not np.can_cast(ids.dtype, np.int64, "safe"):
        raise TileError(f"catalogue {uri}: OBJECT_ID must be one integer per row, got {ids.dtype}; floats lose digits")
    if not (np.isfinite(ra).all() and np.isfinite(dec).all() and (np.abs(dec) <= 90).all() and (np.abs(ra) <= 360).all()):
        raise TileError(f"catalogue {uri}: positions must be finite, RA within 0-360 and declination within -90-90 deg")
    return TileCatalogue(ids.astype(np.int64), ra.astype(np.float64), dec.astype(np.float64))


def tile_cutouts(tile: Tile, catalogue: TileCatalogue, geometry: Geometry) -> Iterator[Cutout | Rejection]:
    """Each source's cutout, or why there is none, in the catalogue's order. Every mosaic is read once.

    A source near the edge stays at the centre of its stamp; what lies beyond the edge is padded with sky (note `padded`).
    A mosaic that is missing or damaged rejects every source of the tile.
    """
    try:
        mosaics = {band: _Mosaic.open(band, tile.mosaics.get(band), catalogue) for band in geometry.grids}
    except Rejection as rejection:
        for _ in catalogue.object_ids:
            yield rejection
        return
    for i in range(len(catalogue.object_ids)):
        try:
            yield to_cutout({band: mosaics[band].window(i, grid) for band, grid in geometry.grids.items()}, geometry)
        except Rejection as rejection:
            yield rejection


@dataclass(frozen=True)
class _Mosaic:
    """A whole mosaic in its file's own byte order, with every source's position in it."""

    label: str
    stored: NDArray
    """`[y, x]`"""
    header: fits.Header
    pixel_scale_arcsec: float
    positions: NDArray[np.float64]
    """`[n, 2]`: x, y of each source, pixel centres at integers, 0-based; NaN where it is not in front of the camera."""

    @classmethod
    def open(cls, band: str, uri: str | None, catalogue: TileCatalogue) -> "_Mosaic":
        if uri is None:
            raise Rejection(RejectCode.MISSING_BAND, f"{band}: the tile has no mosaic")
        try:
            file = open_fits(uri, MAX_MOSAIC_BYTES)
            hdu = find_image(file, "")
            check_image(file, hdu, MAX_MOSAIC_PIXELS)
            scale = header_pixel_scale_arcsec(hdu.header, file.label(hdu))
            positions = _positions(file, hdu, catalogue)
        except Rejection as rejection:
            raise Rejection(rejection.code, f"{band}: {rejection.detail}") from rejection
        stored = file.pixels(hdu) if hdu.is_compressed else file.stored_pixels(hdu)
        header = fits.Header() if hdu.is_compressed else hdu.header
        return cls(f"{band}: {file.label(hdu)}", stored, header, scale, positions)

    def window(self, i: int, grid: Grid) -> BandImage:
        """Pixels about source `i`, centred to half a pixel, a little more than `grid` covers."""
        ny, nx = self.stored.shape
        x, y = self.positions[i]
        if not (-0.5 <= x < nx - 0.5 and -0.5 <= y < ny - 0.5):
            raise Rejection(RejectCode.OUTSIDE_TILE, f"{self.label}: the source lies at x={x:.1f}, y={y:.1f} of {nx}x{ny} px")
        n = _window_pixels(grid, self.pixel_scale_arcsec)
        # The middle of the window is the middle of the stamp: for even sizes a corner between four pixels.
        # The small term keeps positions on whole pixels from falling to either side by rounding, differently in each band.
        x_start, y_start = (math.floor(position - n / 2 + 1 - 1e-3) for position in (x, y))
        rows = slice(max(y_start, 0), min(y_start + n, ny))
        columns = slice(max(x_start, 0), min(x_start + n, nx))
        with np.errstate(over="ignore", invalid="ignore"):
            seen = scaled(self.stored[rows, columns], self.header)
        if seen.shape == (n, n):
            return BandImage(seen, self.pixel_scale_arcsec)
        here = (
            slice(rows.start - y_start, rows.stop - y_start),
            slice(columns.start - x_start, columns.stop - x_start),
        )
        pixels = np.zeros((n, n), np.float32)
        outside = np.ones((n, n), dtype=bool)
        pixels[here], outside[here] = seen, False
        return BandImage(pixels, self.pixel_scale_arcsec, outside)


def _window_pixels(grid: Grid, pixel_scale_arcsec: float) -> int:
    """Mosaic pixels that cover `grid`, even where the grid is: the crop to the grid then needs no half pixel."""
    n = math.ceil(grid.side_arcsec / pixel_scale_arcsec - 1e-3)
    return n + (n - grid.n_pixels) % 2


def _positions(file: FitsFile, hdu: Hdu, catalogue: TileCatalogue) -> NDArray[np.float64]:
    label = file.label(hdu)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wcs = WCS(hdu.header, naxis=2)
            has_wcs = wcs.has_celestial
            sky = catalogue.ra, catalogue.dec
            x, y = wcs.all_world2pix(*sky, 0, quiet=True) if has_wcs and len(catalogue.ra) else np.empty((2, 0))
    except Exception as error:  # wcslib raises many types for headers that make no sense
        raise Rejection(RejectCode.FITS_UNREADABLE, f"{label}: its WCS cannot be used: {error}") from error
    if not has_wcs:
        raise Rejection(RejectCode.NO_PIXEL_SCALE, f"{label}: the header has no celestial WCS")
    return np.stack([x, y], axis=1)


def _catalogue_columns(hdus: fits.HDUList) -> tuple[NDArray, NDArray, NDArray]:
    """The three columns of the first table that has them."""
    for hdu in hdus:
        if isinstance(hdu, fits.BinTableHDU):
            by_upper = {name.upper(): name for name in hdu.columns.names}
            if set(_CATALOGUE_COLUMNS) <= set(by_upper):
                ids, ra, dec = (np.asarray(hdu.data[by_upper[name]]) for name in _CATALOGUE_COLUMNS)
                return ids, ra, dec
    raise TileError(f"needs a table with the columns {', '.join(_CATALOGUE_COLUMNS)}")
