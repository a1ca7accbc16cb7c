"""Read the ids of a plan again from its input, so that an audit counts them and trusts no stored number."""

import numpy as np

from infra.errors import LensscanError
from infra.store.storage import StorageError, info, open_read
from scanner.catalogue.units import Ids, Unit
from scanner.sources.shards import shard_ids
from scanner.sources.tiles import CATALOGUE, read_tile_catalogue


class InputGoneError(LensscanError):
    """A planned input file is gone, changed or unreadable."""


def planned_ids(unit: Unit) -> Ids:
    """Return the ids that a unit must hold, `[n]`, read again from its input.

    Raises:
        InputGoneError: the file that holds the ids is gone, changed or unreadable.
        StorageError: the store failed.
    """
    file = unit.files[CATALOGUE if unit.kind == "tile" else "shard"]
    try:
        now = info(file.uri)
        if (now.size, now.etag) != (file.size, file.etag):
            raise InputGoneError(f"unit {unit.unit_id}: {file.uri} changed since the plan was made")
        read = _tile_ids if unit.kind == "tile" else _shard_ids
        ids = np.asarray(read(file.uri), np.int64)
    except FileNotFoundError as error:
        raise InputGoneError(f"unit {unit.unit_id}: {file.uri} is gone") from error
    except StorageError:
        raise
    except (OSError, ValueError) as error:
        raise InputGoneError(f"unit {unit.unit_id}: {error}") from error
    return ids[~np.isin(ids, np.array(unit.owned_elsewhere, np.int64))]


def _tile_ids(uri: str) -> Ids:
    return read_tile_catalogue(uri).object_ids


def _shard_ids(uri: str) -> Ids:
    with open_read(uri) as source:
        return shard_ids(source)
