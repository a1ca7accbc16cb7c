"""Survey tiles in Euclid MER layout: one mosaic per band and a source catalogue."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from astropy.io import fits
from numpy.typing import NDArray

from infra.errors import LensscanError
from infra.store.storage import StorageError, list_files
from scanner.files.fits_columns import MissingColumnsError, SourceTableError
from scanner.files.fits_source_table import read_sources
from scanner.files.wcs_client import WcsProcessError, sky_positions, start_wcs_worker
from scanner.vocabulary.rejections import Rejection

MAX_MOSAIC_PIXELS = 32768**2
MAX_MOSAIC_BYTES = 2**33
MAX_CATALOGUE_BYTES = 2**33

_NAME = re.compile(
    r"EUC_MER_(?:BGSUB-MOSAIC-(?P<band>VIS|NIR-[YJH])|FINAL-CAT)_TILE(?P<tile>\d+)-[0-9A-Za-z]+"
    r"_(?P<stamp>\d{8}T\d{6}(?:\.\d+)?)Z_(?P<version>\d+\.\d+)\.fits(?:\.gz)?"
)
CATALOGUE = "catalogue"


class TileError(LensscanError, ValueError):
    """The tile cannot be scanned: it has no catalogue, or one that cannot be read."""


class LacksColumnsError(TileError):
    """The catalogue of the tile lacks columns that the scan needs."""

    def __init__(self, uri: str, lacks: MissingColumnsError) -> None:
        super().__init__(f"catalogue {uri}: {lacks}")
        self.missing, self.known = lacks.missing, lacks.known
        """Names of the columns that it lacks, and of those that it has, in lower case."""


@dataclass(frozen=True)
class Tile:
    """Files of a tile; a band without mosaic is missing from `mosaics`."""

    tile_id: str
    mosaics: Mapping[str, str]
    """URI of the mosaic by band."""
    catalogue: str


@dataclass(frozen=True)
class TileCatalogue:
    """Sources of a tile, `[n]` each, in the catalogue's order."""

    object_ids: NDArray[np.int64]
    ra: NDArray[np.float64]
    """Right ascensions in deg, ICRS."""
    dec: NDArray[np.float64]
    """Declinations in deg, ICRS."""
    others: pa.Table | None = None
    """Other columns that were asked for and are there, by their names in lower case, with units in the fields' metadata."""
    known: tuple[str, ...] = ()
    """Names of all columns of the file, in lower case."""

    def without(self, object_ids: Sequence[int]) -> "TileCatalogue":
        """Return the sources whose ids are not among `object_ids`."""
        return self.rows(np.flatnonzero(~np.isin(self.object_ids, np.array(object_ids, dtype=np.int64))))

    def rows(self, indices: NDArray[np.int64]) -> "TileCatalogue":
        """Return the sources with these row indices, in that order."""
        others = None if self.others is None else self.others.take(pa.array(indices))
        return TileCatalogue(self.object_ids[indices], self.ra[indices], self.dec[indices], others, self.known)

    def positions(self, header: fits.Header, label: str) -> NDArray[np.float64]:
        """Return `[n, 2]`: x and y of each source, 0 at the centre of the first pixel; NaN if it is not in front of the camera.

        Raises:
            Rejection: BAD_WCS, the message beginning with `label`.
        """
        return sky_positions(header, self.ra, self.dec, label)


def start_locating() -> None:
    """Start the process that locates sources; if it does not start now, the first tile says so."""
    with suppress(WcsProcessError):
        start_wcs_worker()


def is_tile_file(uri: str) -> bool:
    """Return whether a file has the name of a mosaic or a catalogue of a tile."""
    return _NAME.fullmatch(uri.rpartition("/")[2]) is not None


def discover_mosaics(root_uri: str) -> dict[str, dict[str, str]]:
    """Return the mosaics, by band, of every tile under a folder or prefix, by tile number; catalogues are not needed."""
    mosaics = {
        tile_id: {role: uri for role, uri in roles.items() if role != CATALOGUE} for tile_id, roles in _newest(root_uri).items()
    }
    return {tile_id: of_tile for tile_id, of_tile in mosaics.items() if of_tile}


class FoundTiles(NamedTuple):
    """Tiles of an input, sorted by tile number."""

    tiles: list[Tile]
    without_catalogue: dict[str, tuple[str, ...]]
    """Bands of each tile that has mosaics and no catalogue."""


def find_tiles(*root_uris: str) -> FoundTiles:
    """Return every tile under folders or prefixes, nested or flat, with the newest version of each file."""
    found = FoundTiles([], {})
    for tile_id, uris in _newest(*root_uris).items():
        if CATALOGUE in uris:
            mosaics = {role: uri for role, uri in uris.items() if role != CATALOGUE}
            found.tiles.append(Tile(tile_id, MappingProxyType(mosaics), uris[CATALOGUE]))
        else:
            found.without_catalogue[tile_id] = tuple(sorted(uris))
    return found


def discover_tiles(root_uri: str) -> list[Tile]:
    """Return the tiles of `find_tiles`, each of which must have a catalogue.

    Raises:
        TileError: a tile has mosaics and no catalogue.
    """
    found = find_tiles(root_uri)
    for tile_id, bands in found.without_catalogue.items():
        raise TileError(f"tile {tile_id}: has {', '.join(bands)} but {no_catalogue(tile_id)}")
    return found.tiles


def no_catalogue(tile_id: str) -> str:
    """Say which file a tile without a catalogue lacks."""
    return f"no catalogue named EUC_MER_FINAL-CAT_TILE{tile_id}-..."


def _newest(*root_uris: str) -> dict[str, dict[str, str]]:
    """Return the newest version of each tile's files, by role, sorted by tile number."""
    newest: dict[str, dict[str, tuple[tuple[str, str, str], str]]] = {}
    for file in chain.from_iterable(map(list_files, root_uris)):
        match = _NAME.fullmatch(file.uri.rpartition("/")[2])
        if match is None:
            continue
        role = (match["band"] or CATALOGUE).removeprefix("NIR-")
        roles = newest.setdefault(match["tile"], {})
        entry = ((match["stamp"], match["version"], file.uri), file.uri)
        roles[role] = max(roles.get(role, entry), entry)
    return {tile_id: {role: uri for role, (_, uri) in roles.items()} for tile_id, roles in sorted(newest.items())}


def read_tile_catalogue(uri: str, needed: Sequence[str] = (), wanted: Sequence[str] = ()) -> TileCatalogue:
    """Read ids, positions and chosen columns from a FITS table; column names may be in upper or lower case.

    Args:
        uri: The catalogue.
        needed: Further columns that it must have.
        wanted: Further columns to read if it has them.

    Raises:
        StorageError: the store failed.
        LacksColumnsError: a needed column is missing.
        TileError: the table cannot be read, a column is missing, ids are not integers, or positions are not finite or not
            on the sky.
    """
    try:
        found = read_sources(uri, MAX_CATALOGUE_BYTES, needed, wanted)
    except MissingColumnsError as error:
        raise LacksColumnsError(uri, error) from error
    except SourceTableError as error:
        raise TileError(f"catalogue {uri}: {error}") from error
    except Rejection as rejection:
        if rejection.code.retriable:
            raise StorageError(f"catalogue {uri}: {rejection.detail}") from rejection
        raise TileError(f"catalogue {uri}: cannot be read: {rejection}") from rejection
    except Exception as error:  # astropy raises many types for malformed tables
        raise TileError(f"catalogue {uri}: cannot be read: {error}") from error
    ra, dec = found.ra, found.dec
    if not (np.isfinite(ra).all() and np.isfinite(dec).all() and (np.abs(dec) <= 90).all() and (np.abs(ra) <= 360).all()):
        raise TileError(f"catalogue {uri}: positions must be finite, RA from -360 to 360 and declination from -90 to 90 deg")
    return TileCatalogue(found.ids, ra, dec, found.others if found.others.num_columns else None, found.known)
