"""Survey tiles in Euclid MER layout: one mosaic a band and a source catalogue."""

import io
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray

from infra.errors import LensscanError
from infra.storage import list_files
from scanner.pixels.fits import open_fits
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
        return self.rows(np.flatnonzero(~np.isin(self.object_ids, np.array(object_ids, dtype=np.int64))))

    def rows(self, places: NDArray[np.int64]) -> "TileCatalogue":
        """The sources at some places, in their order."""
        return TileCatalogue(self.object_ids[places], self.ra[places], self.dec[places])

    def positions(self, header: fits.Header, label: str) -> NDArray[np.float64]:
        """`[n, 2]`: x and y of each source, 0 at the middle of the first pixel; NaN where it is not in front of the camera.

        Raises:
            Rejection: FITS_UNREADABLE or NO_PIXEL_SCALE, the message beginning with `label`.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                wcs = WCS(header, naxis=2)
                has_wcs = wcs.has_celestial
                found = has_wcs and len(self.ra)
                x, y = wcs.all_world2pix(self.ra, self.dec, 0, quiet=True) if found else np.empty((2, 0))
        except Exception as error:  # wcslib raises many types for headers that make no sense
            raise Rejection(RejectCode.FITS_UNREADABLE, f"{label}: its WCS cannot be used: {error}") from error
        if not has_wcs:
            raise Rejection(RejectCode.NO_PIXEL_SCALE, f"{label}: the header has no celestial WCS")
        return np.stack([x, y], axis=1)


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


def _catalogue_columns(hdus: fits.HDUList) -> tuple[NDArray, NDArray, NDArray]:
    """The three columns of the first table that has them."""
    for hdu in hdus:
        if isinstance(hdu, fits.BinTableHDU):
            by_upper = {name.upper(): name for name in hdu.columns.names}
            if set(_CATALOGUE_COLUMNS) <= set(by_upper):
                ids, ra, dec = (np.asarray(hdu.data[by_upper[name]]) for name in _CATALOGUE_COLUMNS)
                return ids, ra, dec
    raise TileError(f"needs a table with the columns {', '.join(_CATALOGUE_COLUMNS)}")
