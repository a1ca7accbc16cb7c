"""Read the ids in the files of a unit, and check that these files are still as they were when the plan was made."""

from collections.abc import Iterable

import numpy as np

from infra.errors import LensscanError
from infra.store.storage import N_AHEAD, FileInfo, StorageError, info, open_read
from scanner.catalogue.units import Ids, InputFile, Unit
from scanner.sources.shards import NumberedObjects, numbered_objects
from scanner.sources.survey import EUCLID_MER, Survey
from scanner.sources.tiles import CATALOGUE, read_tile_catalogue

SHARD = "shard"
"""Role of the file of a shard."""
_TILES_AHEAD = 2
"""Number of tile catalogues read ahead, a hundred megabytes each."""
_SMALL_CATALOGUE_BYTES = 2**23
"""Largest size of a catalogue of which more are read ahead."""


class InputChangedError(LensscanError):
    """A planned input file is gone or changed, or it became unreadable."""


def check_unchanged(unit: Unit) -> None:
    """Compare size and ETag of every file of a unit with the plan.

    Raises:
        InputChangedError: a file is gone or changed since the plan was made.
        StorageError: the store failed.
    """
    for role, file in unit.files.items():
        _check_unchanged(unit, role, file)


def planned_ids(unit: Unit, survey: Survey = EUCLID_MER) -> Ids:
    """Return the ids that a unit must hold, `[n]`, read again from its input, so that an audit trusts no stored number.

    Raises:
        InputChangedError: the file that holds the ids is gone, changed or unreadable.
        StorageError: the store failed.
    """
    role = CATALOGUE if unit.kind == "tile" else SHARD
    file = unit.files[role]
    try:
        ids = tile_ids(file, survey) if role == CATALOGUE else shard_file_ids(file.uri)
    except (OSError, ValueError) as error:
        # Only the planned version of a catalogue is read, so a change shows as a failure.
        _check_unchanged(unit, role, file)
        if isinstance(error, StorageError):
            raise
        raise InputChangedError(f"unit {unit.unit_id}: {error}") from error
    if role == SHARD:
        # After the reading: any version of a shard is read, also one that replaces it just before.
        _check_unchanged(unit, role, file)
    return ids[~np.isin(ids, np.array(unit.owned_elsewhere, np.int64))]


def n_catalogues_ahead(sizes: Iterable[int]) -> int:
    """Return how many catalogues of sources, or shards, are read ahead if they have these numbers of bytes."""
    return N_AHEAD if max(sizes, default=0) <= _SMALL_CATALOGUE_BYTES else _TILES_AHEAD


def tile_ids(catalogue: InputFile, survey: Survey = EUCLID_MER) -> Ids:
    """Read the ids of the planned version of a tile's catalogue, `[n]`; raises as `read_tile_catalogue`."""
    planned = FileInfo(catalogue.uri, catalogue.size, catalogue.etag)
    return np.asarray(read_tile_catalogue(catalogue.uri, survey, listed=planned).object_ids, np.int64)


def shard_file_ids(uri: str) -> Ids:
    """Read the ids of a shard, `[n]`, without its pixels; raises as `numbered_objects`."""
    return shard_file_objects(uri).object_ids


def shard_file_objects(uri: str) -> NumberedObjects:
    """Read the ids of a shard, and the data set that it states, without its pixels; raises as `numbered_objects`."""
    with open_read(uri) as source:
        return numbered_objects(source)


def _check_unchanged(unit: Unit, role: str, planned: InputFile) -> None:
    try:
        now = info(planned.uri)
    except FileNotFoundError as error:
        raise InputChangedError(f"unit {unit.unit_id}: {role} {planned.uri} is gone") from error
    if (now.size, now.etag) != (planned.size, planned.etag):
        raise InputChangedError(f"unit {unit.unit_id}: {role} {planned.uri} changed since the plan was made")
