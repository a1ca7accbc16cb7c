"""Find the units of work, the tiles or shards of an input folder, and the rows that each unit owns."""

import re
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from infra.read_ahead import map_ahead
from infra.store.storage import N_AHEAD, FileInfo, info, list_files
from scanner.catalogue.unit_inputs import SHARD, shard_file_ids, tile_ids
from scanner.catalogue.units import MAX_EXAMPLES, Ids, InputFile, PlanError, Unit, id_digest
from scanner.sources.tiles import CATALOGUE, Tile, discover_tiles
from scanner.vocabulary.rejections import Rejection

_TILES_AHEAD = 2
"""Number of tile catalogues read ahead, a hundred megabytes each."""
_UNFIT = re.compile(r"[^A-Za-z0-9._+-]+")


def find_units(input_uri: str) -> list[Unit]:
    """Return the tiles under `input_uri`, or the shards if there are no tiles, sorted by name.

    An object that several units hold (tiles overlap) belongs to the first of them.

    Raises:
        PlanError: there is no unit, a file repeats an id, or a file cannot be read.
    """
    inputs = list(_find(input_uri))
    if not inputs:
        raise PlanError(f"{input_uri}: holds neither Euclid MER tiles nor shards")
    for unit in inputs:
        _check_unique(unit.unit_id, unit.ids)
    try:
        return [_unit(unit, is_own) for unit, is_own in zip(inputs, _first_among([unit.ids for unit in inputs]), strict=True)]
    except ValidationError as error:
        raise PlanError(f"{input_uri}: {error.errors()[0]['msg']}") from error


class _UnitInput(NamedTuple):
    """Files of one unit, and the ids in them."""

    unit_id: str
    kind: Literal["tile", "shard"]
    files: dict[str, InputFile]
    ids: Ids


def _unit(files: _UnitInput, is_own: npt.NDArray[np.bool_]) -> Unit:
    own, elsewhere = files.ids[is_own], files.ids[~is_own]
    return Unit(
        unit_id=files.unit_id,
        kind=files.kind,
        files=files.files,
        n_rows=len(own),
        id_digest=id_digest(own),
        owned_elsewhere=tuple(sorted(elsewhere.tolist())),
    )


def _first_among(ids: Sequence[Ids]) -> list[npt.NDArray[np.bool_]]:
    """Mask, for each array `[n]`, the ids that no earlier array has; in one pass, because a survey has 56 000 arrays."""
    everything = np.concatenate(ids)
    is_first = np.zeros(len(everything), dtype=bool)
    is_first[np.unique(everything, return_index=True)[1]] = True
    return np.split(is_first, np.cumsum([len(array) for array in ids])[:-1])


def _find(input_uri: str) -> Iterator[_UnitInput]:
    tiles = sorted(discover_tiles(input_uri), key=lambda tile: tile.tile_id)
    if tiles:
        return map_ahead(lambda tile: _UnitInput(tile.tile_id, "tile", _tile_files(tile), _tile_ids(tile)), tiles, _TILES_AHEAD)

    def of_shard(file: FileInfo) -> _UnitInput:
        name = _UNFIT.sub("-", _below(input_uri, file.uri).removesuffix(".parquet"))
        return _UnitInput(name, "shard", {SHARD: _input_file(file)}, _shard_ids(file.uri))

    return map_ahead(of_shard, list_files(input_uri, ".parquet"), N_AHEAD)


def _below(root_uri: str, uri: str) -> str:
    """Return the part of a file's URI after the root that it was listed under."""
    root = root_uri.removeprefix("file://").strip("/")
    return uri[uri.find(root) + len(root) :].strip("/") if root in uri else uri.rpartition("/")[2]


def _input_file(file: FileInfo) -> InputFile:
    return InputFile(uri=file.uri, size=file.size, etag=file.etag)


def _tile_files(tile: Tile) -> dict[str, InputFile]:
    try:
        return {role: _input_file(info(uri)) for role, uri in {**tile.mosaics, CATALOGUE: tile.catalogue}.items()}
    except OSError as error:
        raise PlanError(f"tile {tile.tile_id}: {error}") from error


def _tile_ids(tile: Tile) -> Ids:
    try:
        return tile_ids(tile.catalogue)
    except (OSError, ValueError, Rejection) as error:
        raise PlanError(f"tile {tile.tile_id}: its catalogue cannot be read: {error}") from error


def _shard_ids(uri: str) -> Ids:
    try:
        return shard_file_ids(uri)
    except (OSError, ValueError) as error:
        raise PlanError(f"{uri}: not a readable shard: {error}") from error


def _check_unique(unit_id: str, ids: Ids) -> None:
    values, counts = np.unique(ids, return_counts=True)
    if len(values) < len(ids):
        examples = ", ".join(map(str, values[counts > 1][:MAX_EXAMPLES].tolist()))
        raise PlanError(f"unit {unit_id}: {len(ids) - len(values)} repeated object id(s), such as {examples}")
