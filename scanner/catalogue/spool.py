"""Sort rows with maps in little memory: numbers and texts stay in memory, the pixels of maps wait in a file without a name."""

import os
import tempfile
import weakref
from collections.abc import Iterator
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from infra.store.files import cannot_write
from scanner.catalogue.columns import has_maps
from scanner.catalogue.map_columns import MAP_COLUMNS

_TYPES = [np.dtype(column.type.value_type.to_pandas_dtype()) for column in MAP_COLUMNS]
_ENDS = np.cumsum([column.n_values * kind.itemsize for column, kind in zip(MAP_COLUMNS, _TYPES, strict=True)])
RECORD_BYTES = int(_ENDS[-1])
"""Size of the maps of one row."""
_PARTS_JOINED = 256
"""Number of small tables that are joined: Arrow takes twenty kilobytes or more for a table, however few rows it has."""
_SLOT = "_slot"
"""Column of the place of a row's maps in the file; null for a row without maps."""


class Spool:
    """Rows that are added in any order and read back in another; its file goes with it, or at the end of a `with` block."""

    def __init__(self, folder: str | None = None) -> None:
        """Make the file in `folder`, or where the system keeps temporary files."""
        self._folder = folder or tempfile.gettempdir()
        with tempfile.TemporaryFile(dir=self._folder) as file:
            self._file = os.dup(file.fileno())
        self._close = weakref.finalize(self, os.close, self._file)
        self._n_maps = 0
        self._parts: list[pa.Table] = []
        self._newest: list[pa.Table] = []
        """Tables that came after `_parts`, which are joined into one of these now and then."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def add(self, table: pa.Table) -> None:
        """Add rows whose maps, if the table has any, are in lists of any kind.

        A row has all of its maps or none. The tables of one spool have the same columns.
        """
        if not has_maps(table.schema):
            self._keep(table)
            return
        is_there = table[MAP_COLUMNS[0].name].is_valid().to_numpy()
        n = int(is_there.sum())
        names = [column.name for column in MAP_COLUMNS if column.name in table.column_names]
        self._write(table.filter(pa.array(is_there)).select(names))
        slots = pa.array(self._n_maps + np.cumsum(is_there) - 1, pa.int64(), mask=~is_there)
        self._n_maps += n
        self._keep(table.drop_columns(names).append_column(_SLOT, slots))

    @property
    def n_rows(self) -> int:
        return sum(part.num_rows for part in (*self._parts, *self._newest))

    def light(self) -> pa.Table:
        """Return all rows in the order in which they came, without their maps."""
        table = self._joined()
        return table.drop_columns([_SLOT]) if _SLOT in table.column_names else table

    def groups(self, order: NDArray[np.integer], n_rows: int, schema: pa.Schema) -> Iterator[pa.Table]:
        """Yield the rows with the numbers `order`, `n_rows` at a time, with the columns of `schema`.

        Its maps are lists of a fixed size or of any. There is at least one group, which may be empty.
        """
        table = self._joined()
        for start in range(0, max(len(order), 1), n_rows):
            group = table.take(pa.array(order[start : start + n_rows]))
            columns = {} if _SLOT not in group.column_names else self._maps(group[_SLOT], schema)
            arrays = [columns[name] if name in columns else group[name].combine_chunks() for name in schema.names]
            yield pa.Table.from_arrays(arrays, schema=schema)

    def _keep(self, table: pa.Table) -> None:
        self._newest.append(table)
        if len(self._newest) == _PARTS_JOINED:
            self._parts.append(pa.concat_tables(self._newest).combine_chunks())
            self._newest = []

    def _joined(self) -> pa.Table:
        # One copy for all readers, instead of one for each.
        self._parts, self._newest = [pa.concat_tables([*self._parts, *self._newest]).combine_chunks()], []
        return self._parts[0]

    def _write(self, maps: pa.Table) -> None:
        """Append the records of rows that all have maps; a map that an earlier version did not store is zero."""
        parts = []
        for column, kind in zip(MAP_COLUMNS, _TYPES, strict=True):
            if column.name not in maps.column_names:
                parts.append(np.zeros((maps.num_rows, column.n_values * kind.itemsize), np.uint8))
                continue
            flat = [chunk.flatten().to_numpy() for chunk in maps[column.name].chunks]
            values = np.concatenate([np.zeros(0, kind), *flat]).astype(kind, copy=False)
            parts.append(np.ascontiguousarray(values.reshape(maps.num_rows, column.n_values)).view(np.uint8))
        data = memoryview(np.concatenate(parts, axis=1).tobytes())
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except OSError as error:
            raise cannot_write(self._folder, error) from error

    def _maps(self, slots: pa.ChunkedArray, schema: pa.Schema) -> dict[str, pa.Array]:
        """Return the columns of maps of rows with these slots, in the types of the schema."""
        is_there = slots.is_valid().to_numpy()
        found = slots.drop_null().to_numpy()
        records = np.empty((len(found), RECORD_BYTES), np.uint8)
        for record, slot in zip(records, found, strict=True):
            record[:] = np.frombuffer(os.pread(self._file, RECORD_BYTES, int(slot) * RECORD_BYTES), np.uint8)
        parts = zip(MAP_COLUMNS, _TYPES, np.split(records, _ENDS[:-1], axis=1), strict=True)
        return {
            column.name: _lists(np.ascontiguousarray(part).view(kind), is_there, schema.field(column.name).type)
            for column, kind, part in parts
            if column.name in schema.names
        }


def _lists(values: NDArray[np.generic], is_there: NDArray[np.bool_], kind: pa.DataType) -> pa.Array:
    """Return a list for each row, null where there is none; `values` are `[row with a list, ...]`."""
    n_values = values.shape[1]
    if pa.types.is_fixed_size_list(kind):
        padded = np.zeros((len(is_there), n_values), values.dtype)
        padded[is_there] = values
        return pa.FixedSizeListArray.from_arrays(pa.array(padded.reshape(-1)), n_values, mask=pa.array(~is_there))
    ends = pa.array(np.concatenate([[0], np.cumsum(is_there * n_values)]).astype(np.int32))
    return pa.ListArray.from_arrays(ends, pa.array(values.reshape(-1)), mask=pa.array(~is_there))
