"""Survey tiles: one mosaic per band and a source catalogue, in the layout that a survey description gives."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from operator import itemgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numpy.typing import NDArray

from infra.errors import LensscanError
from infra.store.storage import FileInfo, StorageError, list_files
from scanner.files.fits_columns import MissingColumnsError, SourceTableError
from scanner.files.source_table import SourceColumns, SourceTable, wrong_unit
from scanner.files.wcs_client import WcsProcessError, sky_positions, start_wcs_worker
from scanner.sources.name_patterns import version_order
from scanner.sources.object_tables import ManifestError
from scanner.sources.source_tables import TABLE_SUFFIXES, read_table_sources
from scanner.sources.survey import EUCLID_MER, CatalogueFiles, Survey
from scanner.vocabulary.rejections import Rejection

if TYPE_CHECKING:
    # Not imported: every command that reads a catalogue imports this file, and astropy takes longer than all the rest.
    from astropy.io.fits import Header

MAX_MOSAIC_PIXELS = 32768**2
MAX_MOSAIC_BYTES = 2**33
MAX_CATALOGUE_BYTES = 2**33

CATALOGUE = "catalogue"
ON_SKY = "RA -360 to 360 and Dec -90 to 90 deg"
"""Ranges of positions that are read."""
_UNFIT = re.compile(r"[^A-Za-z0-9._+-]+")
_MOST_NAMES = 3


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
    survey: Survey = EUCLID_MER
    """Survey that the files are of."""
    files: Mapping[str, FileInfo] = field(default_factory=dict, compare=False)
    """The files by role as the input's listing showed them; empty if no input was listed."""


@dataclass(frozen=True)
class TileCatalogue:
    """Sources of a tile, `[n]` each, in the catalogue's order."""

    object_ids: NDArray[np.int64]
    ra: NDArray[np.float64]
    """Right ascensions in deg, ICRS; NaN for a source without a position."""
    dec: NDArray[np.float64]
    """Declinations in deg, ICRS; NaN for a source without a position."""
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

    def positions(self, header: "Header", label: str) -> NDArray[np.float64]:
        """Return `[n, 2]`: x and y of each source, 0 at the centre of the first pixel; NaN if it is not in front of the camera.

        A source without a position has NaN, too.

        Raises:
            Rejection: BAD_WCS, the message beginning with `label`.
        """
        placed = self.has_position
        xy = np.full((len(placed), 2), np.nan)
        xy[placed] = sky_positions(header, self.ra[placed], self.dec[placed], label)
        return xy

    @property
    def has_position(self) -> NDArray[np.bool_]:
        """Flags `[n]` of the sources with a position."""
        return np.isfinite(self.ra)


def start_locating() -> None:
    """Start the process that locates sources; if it does not start now, the first tile says so."""
    with suppress(WcsProcessError):
        start_wcs_worker()


def is_tile_file(uri: str) -> bool:
    """Return whether a file has the name of a mosaic or a catalogue of a tile of Euclid."""
    return bool(_roles(uri.rpartition("/")[2], EUCLID_MER)[1])


def discover_mosaics(root_uri: str, survey: Survey = EUCLID_MER) -> dict[str, dict[str, str]]:
    """Return the mosaics, by band, of every tile under a folder or prefix, by tile number; catalogues are not needed."""
    found = _newest(survey, root_uri)
    mosaics = {tile_id: {r: file.uri for r, file in files.items() if r != CATALOGUE} for tile_id, files in found.items()}
    return {tile_id: of_tile for tile_id, of_tile in mosaics.items() if of_tile}


class FoundTiles(NamedTuple):
    """Tiles of an input, sorted by tile number."""

    tiles: list[Tile]
    without_catalogue: dict[str, tuple[str, ...]]
    """Bands of each tile that has mosaics and no catalogue."""


def find_tiles(*root_uris: str, survey: Survey = EUCLID_MER) -> FoundTiles:
    """Return every tile under folders or prefixes, nested or flat, with the newest version of each file.

    Raises:
        TileError: the names of two tiles differ only in characters that cannot stand in the name of a unit.
    """
    found = FoundTiles([], {})
    for tile_id, files in _newest(survey, *root_uris).items():
        if CATALOGUE in files:
            mosaics = {role: file.uri for role, file in files.items() if role != CATALOGUE}
            found.tiles.append(Tile(tile_id, MappingProxyType(mosaics), files[CATALOGUE].uri, survey, files))
        else:
            found.without_catalogue[tile_id] = tuple(sorted(files))
    return found


def discover_tiles(root_uri: str, survey: Survey = EUCLID_MER) -> list[Tile]:
    """Return the tiles of `find_tiles`, each of which must have a catalogue.

    Raises:
        TileError: a tile has mosaics and no catalogue.
    """
    found = find_tiles(root_uri, survey=survey)
    for tile_id, bands in found.without_catalogue.items():
        raise TileError(f"tile {tile_id}: has {', '.join(bands)} but {no_catalogue(tile_id, survey)}")
    return found.tiles


def no_catalogue(tile_id: str, survey: Survey = EUCLID_MER) -> str:
    """Say which file a tile without a catalogue lacks."""
    return f"no catalogue named {survey.catalogue_name(tile_id)}"


def no_tiles(root_uri: str, survey: Survey) -> str:
    """Say that no file has a name of the survey, and which names there are."""
    return f"{root_uri}: {no_mosaics(root_uri, survey)}"


def no_mosaics(root_uri: str, survey: Survey) -> str:
    """Say that no file is named like a mosaic of the survey, and which names there are."""
    bands = f" with band {' or '.join(dict.fromkeys(survey.bands.values()))}" if "{band}" in survey.mosaics.file else ""
    return f"no file of survey {survey.name} is named like {survey.mosaics.file}{bands}; {other_names(root_uri, survey)}"


def other_names(root_uri: str, survey: Survey) -> str:
    """Say which names of files under a folder or prefix are those of no mosaic or catalogue of the survey."""
    names = {file.uri.rpartition("/")[2] for file in list_files(root_uri)}
    others = sorted(name for name in names if not _roles(name, survey)[1])
    if not others:
        return f"it holds no {'other ' if names else ''}files"
    return f"it holds {', '.join(others[:_MOST_NAMES])}{' ...' if len(others) > _MOST_NAMES else ''}"


def _newest(survey: Survey, *root_uris: str) -> dict[str, dict[str, FileInfo]]:
    """Return the newest version of each tile's files, by role, sorted by tile number."""
    newest: dict[str, dict[str, tuple[tuple[tuple[str, str], str], FileInfo]]] = {}
    named: dict[str, str] = {}
    for file in chain.from_iterable(map(list_files, root_uris)):
        match, roles = _roles(file.uri.rpartition("/")[2], survey)
        if match is None or not roles:
            continue
        # The name of a tile also names a unit file.
        tile_id = _UNFIT.sub("-", match["tile"])
        if named.setdefault(tile_id, match["tile"]) != match["tile"]:
            raise TileError(f"tiles {named[tile_id]} and {match['tile']}: both would be named {tile_id}")
        of_tile = newest.setdefault(tile_id, {})
        entry = ((version_order(match), file.uri), file)
        for role in roles:
            of_tile[role] = max(of_tile.get(role, entry), entry, key=itemgetter(0))
    return {tile_id: {role: file for role, (_, file) in roles.items()} for tile_id, roles in sorted(newest.items())}


def _roles(name: str, survey: Survey) -> tuple[re.Match[str] | None, list[str]]:
    """Return the parts of a file's name, and what the file is to its tile: bands, or the catalogue; nothing for other files."""
    if match := survey.mosaic_pattern.fullmatch(name):
        return match, [band for band, of_survey in survey.bands.items() if of_survey == match["band"]]
    match = survey.catalogue_pattern.fullmatch(name) if survey.catalogue_pattern else None
    return match, [CATALOGUE] if match else []


def read_tile_catalogue(
    uri: str,
    survey: Survey = EUCLID_MER,
    needed: Sequence[str] = (),
    wanted: Sequence[str] = (),
    listed: FileInfo | None = None,
) -> TileCatalogue:
    """Read ids, positions and chosen columns from a FITS table, or from Parquet or CSV if its name ends so.

    Column names may be in upper or lower case. A source whose position is not finite or not on the sky has none.

    Args:
        uri: The catalogue.
        survey: Survey that the tile is of.
        needed: Further columns that it must have.
        wanted: Further columns to read if it has them.
        listed: The file as a listing showed it; only this version is read.

    Raises:
        StorageError: the store failed, or the file is not the listed version.
        LacksColumnsError: a needed column is missing.
        TileError: the survey has no catalogues, the table cannot be read, a column of the survey's description is missing, ids
            are not integers, positions have another unit than described, no row has a position on the sky, or a row has none
            in a table whose ids are made from positions.
    """
    # Imported here, as above.
    from scanner.files.fits_source_table import read_sources

    described = survey.catalogue
    if described is None:
        raise TileError(f"survey {survey.name}: its description has no [catalogue]")
    columns = SourceColumns(described.id, described.ra, described.dec)
    try:
        read = read_table_sources if uri.lower().endswith(TABLE_SUFFIXES) else read_sources
        found = read(uri, MAX_CATALOGUE_BYTES, columns, needed, wanted, listed)
    except StorageError:
        raise
    except MissingColumnsError as error:
        raise LacksColumnsError(uri, error) from error
    except (SourceTableError, ManifestError) as error:
        raise TileError(f"catalogue {uri}: {error}") from error
    except Rejection as rejection:
        if rejection.code.retriable:
            raise StorageError(f"catalogue {uri}: {rejection.detail}") from rejection
        raise TileError(f"catalogue {uri}: cannot be read: {rejection}") from rejection
    except Exception as error:  # astropy raises many types for malformed tables
        raise TileError(f"catalogue {uri}: cannot be read: {error}") from error
    ra, dec = _degrees(uri, described, found)
    ids = position_ids(ra, dec) if found.ids is None else found.ids
    return TileCatalogue(ids, ra, dec, found.others if found.others.num_columns else None, found.known)


def _degrees(uri: str, described: CatalogueFiles, found: SourceTable) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the positions in deg, NaN for rows that have none on the sky.

    Raises:
        TileError: the columns have another unit than described, no row has a position, or one lacks it in a table without ids.
    """
    for name, unit in zip((described.ra, described.dec), found.units, strict=True):
        if says := wrong_unit(name, unit, described.unit):
            raise TileError(f"catalogue {uri}: {says}, as the survey's key catalogue.unit is {described.unit}")
    ra, dec = (np.degrees(found.ra), np.degrees(found.dec)) if described.unit == "rad" else (found.ra, found.dec)
    is_placed = on_sky(ra, dec)
    if not is_placed.all() and (found.ids is None or not is_placed.any()):
        label = f"catalogue {uri}{', in rad' if described.unit == 'rad' else ''}"
        raise TileError(f"{label}: {_without_position(found.ids, ra, dec)}")
    return np.where(is_placed, ra, np.nan), np.where(is_placed, dec, np.nan)


def _without_position(ids: NDArray[np.int64] | None, ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64]) -> str:
    """Count the rows without a place on the sky, name the first, and say how to mend them."""
    is_absent = ~(np.isfinite(ra_deg) & np.isfinite(dec_deg))
    if is_absent.any():
        is_bad, lack, remedy = is_absent, "without a finite position", "fill in their positions"
    else:
        is_bad, lack, remedy = ~on_sky(ra_deg, dec_deg), f"outside {ON_SKY}", "correct their positions"
    i = int(np.argmax(is_bad))
    name = f"row {i + 1}" if ids is None else f"row {i + 1}, with id {ids[i]}"
    position = f"RA {ra_deg[i]:g}, Dec {dec_deg[i]:g} deg"
    remedy = f"remove these rows from the catalogue or {remedy}"
    return f"{is_bad.sum()} of {len(is_bad)} rows {lack}, the first {name} ({position}): {remedy}"


def on_sky(ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike) -> NDArray[np.bool_]:
    """Return which positions are finite and in the ranges of `ON_SKY`; NaN is in none."""
    return np.asarray((np.abs(ra_deg) <= 360) & (np.abs(dec_deg) <= 90))


def position_ids(ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return ids made as Euclid's: the digits of RA and Dec in units of 1e-7 deg, negative in the south."""
    ra, dec = (np.rint(angle * 1e7).astype(np.int64) for angle in (ra_deg % 360, dec_deg))
    return np.where(dec < 0, -1, 1) * (ra * 10**9 + np.abs(dec))
