"""Find the units of work, the tiles or shards of an input folder, and the rows that each unit owns."""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from infra.read_ahead import map_ahead
from infra.store.storage import N_AHEAD, FileInfo, exists, info, is_s3, list_files, local_path
from scanner.catalogue.unit_inputs import SHARD, shard_file_ids, tile_ids
from scanner.catalogue.units import MAX_EXAMPLES, Ids, InputFile, PlanError, Unit, id_digest
from scanner.sources.tiles import CATALOGUE, Tile, discover_tiles
from scanner.vocabulary.rejections import Rejection

_TILES_AHEAD = 2
"""Number of tile catalogues read ahead, a hundred megabytes each."""
_UNFIT = re.compile(r"[^A-Za-z0-9._+-]+")


class FoundUnits(NamedTuple):
    """Units of an input, sorted by name, and the tiles that are no units."""

    units: list[Unit]
    without_mosaics: tuple[str, ...]
    """Ids of the tiles that have a catalogue and no mosaic."""


def find_units(input_uri: str) -> list[Unit]:
    """Return the units of `find_input`."""
    return find_input(input_uri).units


def find_input(input_uri: str) -> FoundUnits:
    """Find the tiles under `input_uri`, or the shards if there are no tiles.

    A tile without any mosaic is left out and named. An object that several units hold (tiles overlap) belongs to the first.

    Raises:
        PlanError: there is no unit, a file repeats an id, or a file cannot be read.
    """
    tiles = _tiles(input_uri)
    without = tuple(tile.tile_id for tile in tiles if not tile.mosaics)
    inputs = list(_with_ids([tile for tile in tiles if tile.mosaics]) if tiles else _shards(input_uri))
    if not inputs:
        raise PlanError(_why_nothing(input_uri, without))
    for unit in inputs:
        _check_unique(unit.unit_id, unit.ids)
    owned = zip(inputs, _first_among([unit.ids for unit in inputs]), strict=True)
    try:
        return FoundUnits([_unit(unit, is_own) for unit, is_own in owned], without)
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


def _tiles(input_uri: str) -> list[Tile]:
    if not is_s3(input_uri) and _is_file(input_uri):
        raise PlanError(_why_nothing(input_uri, ()))
    return sorted(discover_tiles(input_uri), key=lambda tile: tile.tile_id)


def _with_ids(tiles: Sequence[Tile]) -> Iterator[_UnitInput]:
    return map_ahead(lambda tile: _UnitInput(tile.tile_id, "tile", _tile_files(tile), _tile_ids(tile)), tiles, _TILES_AHEAD)


def _shards(input_uri: str) -> Iterator[_UnitInput]:
    def of_shard(file: FileInfo) -> _UnitInput:
        name = _UNFIT.sub("-", _below(input_uri, file.uri).removesuffix(".parquet"))
        return _UnitInput(name, "shard", {SHARD: _input_file(file)}, _shard_ids(file.uri))

    return map_ahead(of_shard, list_files(input_uri, ".parquet"), N_AHEAD)


def _why_nothing(input_uri: str, without_mosaics: Sequence[str]) -> str:
    if without_mosaics:
        examples = ", ".join(without_mosaics[:MAX_EXAMPLES])
        return f"{input_uri}: no tile can be scanned: {len(without_mosaics)} have a catalogue and no mosaic, such as {examples}"
    if not exists(input_uri):
        return f"{input_uri}: does not exist"
    if _is_file(input_uri):
        return f"{input_uri}: is a file, not a folder of tiles or shards; `lensscan score` takes manifests and images"
    return f"{input_uri}: holds neither Euclid MER tiles nor shards"


def _is_file(uri: str) -> bool:
    if not is_s3(uri):
        return local_path(uri).is_file()
    with suppress(FileNotFoundError):
        return bool(info(uri))
    return False


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
