"""Find the units of work, the tiles or shards of an input folder, and the rows that each unit owns."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError, field_validator

from infra.errors import LensscanError
from infra.frozen import Frozen
from infra.read_ahead import map_ahead
from infra.store.storage import N_AHEAD, FileInfo, info, list_files, open_read
from scanner.sources.shards import shard_ids
from scanner.sources.tiles import CATALOGUE, Tile, discover_tiles, read_tile_catalogue
from scanner.vocabulary.rejections import Rejection

MAX_EXAMPLES = 5
_TILES_AHEAD = 2
"""Number of tile catalogues read ahead, a hundred megabytes each."""
_UNIT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_UNFIT = re.compile(r"[^A-Za-z0-9._+-]+")

Ids = npt.NDArray[np.int64]


class PlanError(LensscanError):
    """The input cannot be planned, or the content of a stored plan does not match its id."""


class InputFile(Frozen):
    """State of a file when the plan was made."""

    uri: str
    size: int
    etag: str


class Unit(Frozen):
    """A tile or a shard, which one actor scans and commits at once."""

    unit_id: str
    kind: Literal["tile", "shard"]
    files: dict[str, InputFile]
    """Files by role: the bands and `catalogue` of a tile, or `shard`."""
    n_rows: int = Field(ge=0)
    """Number of rows that the unit owns."""
    id_digest: str = Field(pattern="^[0-9a-f]{32}$")
    """`id_digest` of the ids of these rows."""
    owned_elsewhere: tuple[int, ...] = ()
    """Ids in the files that an earlier unit owns, as for objects where tiles overlap; the unit file leaves them out."""

    @field_validator("unit_id")
    @classmethod
    def _names_a_file(cls, value: str) -> str:
        if not _UNIT_ID.fullmatch(value):
            raise ValueError(f"unit_id must match {_UNIT_ID.pattern}, got {value!r}")
        return value


def id_digest(object_ids: Iterable[int] | npt.NDArray[np.int64]) -> str:
    """Return the sum of the BLAKE2b-128 of every id (int64, little endian) modulo 2^128, in hexadecimal.

    The order of the ids does not matter and the digests of parts add up. The digest is a sum because an exclusive or would
    cancel a row that is counted twice.
    """
    raw = np.asarray(object_ids, dtype="<i8").tobytes()
    hashes = (hashlib.blake2b(raw[i : i + 8], digest_size=16).digest() for i in range(0, len(raw), 8))
    return f"{sum(int.from_bytes(h, 'big') for h in hashes) % 2**128:032x}"


def find_units(input_uri: str) -> list[Unit]:
    """Return the tiles under `input_uri`, or the shards if there are no tiles, sorted by name.

    An object that several units hold (tiles overlap) belongs to the first of them.

    Raises:
        PlanError: there is no unit, a file repeats an id, or a file cannot be read.
    """
    found = list(_find(input_uri))
    if not found:
        raise PlanError(f"{input_uri}: holds neither Euclid MER tiles nor shards")
    for one in found:
        _check_unique(one.unit_id, one.ids)
    try:
        return [_unit(one, is_own) for one, is_own in zip(found, _first_among([one.ids for one in found]), strict=True)]
    except ValidationError as error:
        raise PlanError(f"{input_uri}: {error.errors()[0]['msg']}") from error


class _Found(NamedTuple):
    """Files of one unit, and the ids in them."""

    unit_id: str
    kind: Literal["tile", "shard"]
    files: dict[str, InputFile]
    ids: Ids


def _unit(found: _Found, is_own: npt.NDArray[np.bool_]) -> Unit:
    own, elsewhere = found.ids[is_own], found.ids[~is_own]
    return Unit(
        unit_id=found.unit_id,
        kind=found.kind,
        files=found.files,
        n_rows=len(own),
        id_digest=id_digest(own),
        owned_elsewhere=tuple(sorted(elsewhere.tolist())),
    )


def _first_among(ids: Sequence[Ids]) -> list[npt.NDArray[np.bool_]]:
    """Mask, for each array `[n]`, the ids that no earlier array has; in one pass, because a survey has 56 000 arrays."""
    everything = np.concatenate(ids)
    is_first = np.zeros(len(everything), dtype=bool)
    is_first[np.unique(everything, return_index=True)[1]] = True
    return np.split(is_first, np.cumsum([len(some) for some in ids])[:-1])


def _find(input_uri: str) -> Iterator[_Found]:
    tiles = sorted(discover_tiles(input_uri), key=lambda tile: tile.tile_id)
    if tiles:
        return map_ahead(lambda tile: _Found(tile.tile_id, "tile", _tile_files(tile), _tile_ids(tile)), tiles, _TILES_AHEAD)

    def of_shard(file: FileInfo) -> _Found:
        name = _UNFIT.sub("-", _below(input_uri, file.uri).removesuffix(".parquet"))
        return _Found(name, "shard", {"shard": _input_file(file)}, _shard_ids(file.uri))

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
        return np.asarray(read_tile_catalogue(tile.catalogue).object_ids, dtype=np.int64)
    except (OSError, ValueError, Rejection) as error:
        raise PlanError(f"tile {tile.tile_id}: its catalogue cannot be read: {error}") from error


def _shard_ids(uri: str) -> Ids:
    """Read the ids of a shard, `[n]`, without its pixels."""
    try:
        with open_read(uri) as source:
            return shard_ids(source)
    except (OSError, ValueError) as error:
        raise PlanError(f"{uri}: not a readable shard: {error}") from error


def _check_unique(unit_id: str, ids: Ids) -> None:
    values, counts = np.unique(ids, return_counts=True)
    if len(values) < len(ids):
        examples = ", ".join(map(str, values[counts > 1][:MAX_EXAMPLES].tolist()))
        raise PlanError(f"unit {unit_id}: {len(ids) - len(values)} repeated object id(s), such as {examples}")
