"""Score positions on the sky: cutouts are taken from the mosaics of the tile that holds each position."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from infra.progress import Progress, no_progress
from scanner.catalogue.object_table import object_table
from scanner.scan.row_groups import MissingBands, RowGroup, score_groups
from scanner.scan.scoring import CutoutScanner
from scanner.sources.batches import CutoutBatch, batches_of
from scanner.sources.positions import SkyPositions
from scanner.sources.survey import EUCLID_MER, Survey
from scanner.sources.tile_batches import tile_batches
from scanner.sources.tiles import ON_SKY, Tile, TileCatalogue, TileError, discover_mosaics, no_tiles, on_sky
from scanner.sources.tiles_at import tiles_at
from scanner.vocabulary.geometry import Geometry
from scanner.vocabulary.rejections import RejectCode, Rejection


def score_positions(
    positions: SkyPositions,
    tiles_uri: str,
    scanner: CutoutScanner,
    progress: Progress = no_progress,
    missing: MissingBands | None = None,
    survey: Survey = EUCLID_MER,
) -> pa.Table:
    """Return one row of `score_schema` per position, in their order, then the name of its tile and the other columns.

    A position outside all tiles is rejected with `outside_tile`. Damage to a tile rejects all positions in it.

    Args:
        positions: The objects.
        tiles_uri: Folder or `s3://` prefix of tiles; catalogues are not needed.
        scanner: Scorer of the objects in tiles with mosaics in all bands.
        progress: Callback that gets numbers of rows.
        missing: Scorer of the objects in tiles that lack bands; without it, they are rejected.
        survey: Survey that the tiles are of.

    Raises:
        TileError: there is no tile.
        StorageError: the store failed.
    """
    tiles = discover_mosaics(tiles_uri, survey)
    if not tiles:
        raise TileError(f"no Euclid MER tile under {tiles_uri}" if survey == EUCLID_MER else no_tiles(tiles_uri, survey))
    number, unread = tiles_at(tiles, positions.ra, positions.dec, survey.mosaics.extension)
    groups = [
        _in_tile(Tile(name, mosaics, "", survey), positions, np.flatnonzero(number == i))
        for i, (name, mosaics) in enumerate(tiles.items())
        if (number == i).any()
    ]
    outside = np.flatnonzero(number < 0)
    if len(outside):
        groups.append(_outside(positions, outside, scanner.geometry, _place(len(tiles), unread)))
    scores = score_groups(groups, scanner, progress, missing)
    names = [*tiles, None]
    of_tile = pa.chunked_array([pa.array([names[i] for i in number], pa.string())])
    ra, dec = (pa.array(values, mask=~np.isfinite(values)) for values in (positions.ra, positions.dec))
    return object_table(positions.object_ids, scores, ra, dec, {"tile": of_tile}, positions.others)


def _in_tile(tile: Tile, positions: SkyPositions, rows: NDArray[np.int64]) -> RowGroup:
    catalogue = TileCatalogue(np.arange(len(rows)), positions.ra[rows], positions.dec[rows])
    return RowGroup(rows.tolist(), frozenset(tile.mosaics), partial(tile_batches, tile, catalogue))


def _outside(positions: SkyPositions, rows: NDArray[np.int64], geometry: Geometry, place: str) -> RowGroup:
    where = zip(positions.ra[rows], positions.dec[rows], strict=True)
    rejections = [
        Rejection(RejectCode.OUTSIDE_TILE, _no_position(ra, dec) or f"ra={ra:.6f}, dec={dec:.6f} {place}") for ra, dec in where
    ]
    return RowGroup(rows.tolist(), frozenset(geometry.grids), partial(_rejected, rejections))


def _no_position(ra: float, dec: float) -> str:
    """Say why two numbers are no position on the sky; empty if they are one."""
    absent = [name for name, value in (("RA", ra), ("Dec", dec)) if not np.isfinite(value)]
    if absent:
        return f"has no {' and no '.join(absent)}"
    return "" if on_sky(ra, dec) else f"ra={ra:g}, dec={dec:g} must be in {ON_SKY}"


def _rejected(rejections: Sequence[Rejection], geometry: Geometry, batch_size: int) -> Iterator[CutoutBatch]:
    return batches_of(rejections, geometry, batch_size)


def _place(n_tiles: int, unread: Mapping[str, Rejection]) -> str:
    because = "; ".join(f"tile {name} {_fault(rejection)}" for name, rejection in unread.items())
    place = f"lies in none of {n_tiles} tiles" if n_tiles > 1 else "is not in the only tile"
    return f"{place} ({because})" if because else place


def _fault(rejection: Rejection) -> str:
    return f"has no usable WCS: {rejection.detail}" if rejection.code is RejectCode.BAD_WCS else f"cannot be read: {rejection}"
