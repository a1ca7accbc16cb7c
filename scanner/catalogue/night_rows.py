"""Read chosen candidates from the nights' files: a few columns of every row, and all columns of the chosen rows alone."""

from contextlib import ExitStack
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from infra.store.storage import StorageError
from scanner.catalogue.columns import EMBEDDING, RANK
from scanner.catalogue.map_columns import MAP_COLUMNS
from scanner.catalogue.maps import with_maps_as
from scanner.catalogue.night_file import open_if_current
from scanner.catalogue.shown import ShownPlan
from scanner.catalogue.visible import together
from scanner.catalogue.wanted import Wanted

_MAPS = frozenset({EMBEDDING.name, *(column.name for column in MAP_COLUMNS)})


class Found(NamedTuple):
    """Rows, best first, and the number of all rows that meet the conditions."""

    rows: pa.Table
    n_all: int


def wanted_rows(root_uri: str, nights: dict[str, list[ShownPlan]], wanted: Wanted, *, maps: bool) -> Found | None:
    """Return the wanted rows of some nights, best first; None if the file of a night is missing, old or damaged.

    Args:
        root_uri: The catalogue's root.
        nights: Plans that each night shows, newest first, by its label; at least one night.
        wanted: Conditions on the rows.
        maps: Return the pixels of the maps and the embeddings too, in lists of any size.

    Raises:
        StorageError: the store failed.
    """
    try:
        with ExitStack() as opened:
            files = [opened.enter_context(open_if_current(root_uri, label, plans)) for label, plans in nights.items()]
            found = [file for file in files if file is not None]
            return _best(found, wanted, maps=maps) if len(found) == len(files) else None
    except StorageError:
        raise
    except (pa.ArrowException, OSError, ValueError):
        return None


def _best(files: list[pq.ParquetFile], wanted: Wanted, *, maps: bool) -> Found:
    keys = [file.read(wanted.columns) for file in files]
    all_rows = [wanted.rows(of_file) for of_file in keys]
    rows = [of_file[: wanted.limit] for of_file in all_rows]
    number = np.concatenate(rows)
    file_of_row = np.repeat(np.arange(len(files)), [len(of_file) for of_file in rows])
    p_lens, object_id = (
        np.concatenate([of_file[name].to_numpy()[chosen] for of_file, chosen in zip(keys, rows, strict=True)])
        for name in ("p_lens", "object_id")
    )
    # The sort is stable: equal rows of several nights stay in the order of the nights.
    order = np.lexsort((object_id, -p_lens.astype(np.float64)))[: wanted.limit]
    parts = [_rows(file, np.sort(number[order][file_of_row[order] == i]), maps=maps) for i, file in enumerate(files)]
    ranks = pa.chunked_array([chunk for part in parts for chunk in part[RANK.name].chunks], RANK.type)
    table = together(parts).append_column(RANK.field(), ranks)
    # The rows lie night after night, each night best first: the place of a row is its place in that order.
    place = np.lexsort((number[order], file_of_row[order])).argsort()
    return Found(table.take(pa.array(place)), sum(map(len, all_rows)))


def _rows(file: pq.ParquetFile, numbers: NDArray[np.int64], *, maps: bool) -> pa.Table:
    """Return the rows with these numbers, ascending, from the row groups that hold them."""
    names = [name for name in file.schema_arrow.names if maps or name not in _MAPS]
    parts, start = [file.schema_arrow.empty_table().select(names)], 0
    for i in range(file.num_row_groups):
        stop = start + file.metadata.row_group(i).num_rows
        here = numbers[np.searchsorted(numbers, start) : np.searchsorted(numbers, stop)]
        if len(here):
            parts.append(file.read_row_group(i, names).take(pa.array(here - start)))
        start = stop
    return with_maps_as("large", pa.concat_tables(part.replace_schema_metadata(None) for part in parts))
