"""Reads ids, positions and chosen columns from source catalogues in Parquet or CSV."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from infra.store.storage import FileInfo, info, read_version
from scanner.files.fits_columns import MissingColumnsError, SourceTableError
from scanner.files.parquet_checked import BadParquetError, ParquetInput
from scanner.files.source_table import MAX_SOURCES, SourceColumns, SourceTable
from scanner.sources.object_tables import (
    MAX_TABLE_BYTES,
    PARQUET_MAGIC,
    Columns,
    coordinates,
    csv_texts,
    is_string,
    typed,
    value_type,
)

TABLE_SUFFIXES = (".parquet", ".csv")
"""Endings of the names of catalogues that are not FITS."""


def read_table_sources(
    uri: str,
    max_bytes: int,
    columns: SourceColumns,
    needed: Sequence[str] = (),
    wanted: Sequence[str] = (),
    listed: FileInfo | None = None,
) -> SourceTable:
    """Return the columns of a table, whose names may be in upper or lower case; the file is held in memory.

    Args:
        uri: File to read.
        max_bytes: Largest size of the file.
        columns: Columns of ids and positions.
        needed: Further columns that the table must have.
        wanted: Further columns to read if the table has them.
        listed: The file as a listing showed it; another version of the file is refused.

    Raises:
        MissingColumnsError: a needed column is missing.
        SourceTableError: another column is missing, ids or positions are not numbers, or the file is too large.
        ManifestError: the file is neither Parquet nor CSV.
        OSError: the file is missing, or the store failed.
    """
    file, most = listed or info(uri), min(max_bytes, MAX_TABLE_BYTES)
    if file.size > most:
        raise SourceTableError(f"must have at most {most} bytes, got {file.size}")
    data = read_version(file)
    known, flat, read = _parquet(data) if data.startswith(PARQUET_MAGIC) else _csv(data, columns)
    by_lower = {name.lower(): name for name in known}
    own = _matching(known, by_lower, columns)
    if missing := [name.lower() for name in needed if name.lower() not in by_lower]:
        raise MissingColumnsError(missing, by_lower)
    if several := [name for name in needed if by_lower[name.lower()] not in flat]:
        raise SourceTableError(f"column {several[0].lower()} must hold one number, flag or text in each row")
    more = dict.fromkeys(name.lower() for name in (*needed, *wanted) if by_lower.get(name.lower()) in flat)
    found = read([*own.values(), *(by_lower[name] for name in more)])
    *ids, ra, dec = (_numbers(name, found[there], is_id=name == columns.id) for name, there in own.items())
    others = pa.table({name: _single_values(found[by_lower[name]]) for name in more})
    return SourceTable(ids[0] if ids else None, ra, dec, others, tuple(by_lower))


_Read = Callable[[Sequence[str]], Columns]
"""Function that returns the columns of some names."""


def _parquet(data: bytes) -> tuple[list[str], set[str], _Read]:
    """Return the names of the columns, those of columns of single values, and a function that reads columns."""
    try:
        file = ParquetInput(pa.BufferReader(data), MAX_TABLE_BYTES, MAX_SOURCES)
    except BadParquetError as error:
        raise SourceTableError(str(error)) from error

    def read(names: Sequence[str]) -> Columns:
        try:
            table = file.read(list(dict.fromkeys(names)), MAX_TABLE_BYTES)
        except BadParquetError as error:
            raise SourceTableError(str(error)) from error
        return {name: table[name] for name in names}

    return list(file.names), {field.name for field in file.schema if _is_single(value_type(field.type))}, read


def _csv(data: bytes, columns: SourceColumns) -> tuple[list[str], set[str], _Read]:
    there, texts = csv_texts("the table", data)
    places = {columns.ra.lower(), columns.dec.lower()}

    def read(names: Sequence[str]) -> Columns:
        cells = {name: texts[there.index(name)] for name in names}
        return {name: coordinates(cell) if name.lower() in places else _cell_values(name, cell) for name, cell in cells.items()}

    return there, set(there), read


def _cell_values(name: str, cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the cells of a CSV column with the type that all have; nulls of no type if all are empty, which fit every type."""
    if pc.all(pc.equal(cells, "")).as_py():
        return pa.chunked_array([pa.nulls(len(cells))])
    return typed(name, cells)


def _matching(there: Sequence[str], by_lower: Mapping[str, str], columns: SourceColumns) -> dict[str, str]:
    """Return the names in a table by the names that the survey's description gives."""
    if missing := [name for name in columns if name is not None and name.lower() not in by_lower]:
        raise SourceTableError(f"has no column {', '.join(missing)}; it has {', '.join(there)[:200]}")
    return {name: by_lower[name.lower()] for name in columns if name is not None}


def _is_single(kind: pa.DataType) -> bool:
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    return is_number or pa.types.is_boolean(kind) or is_string(kind)


def _single_values(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of numbers, flags or texts; numbers that are not finite become null, as in FITS tables."""
    kind = value_type(column.type)
    if pa.types.is_floating(kind):
        numbers = column.cast(kind)
        return pc.if_else(pc.is_finite(numbers), numbers, pa.scalar(None, kind))
    return column.cast(pa.string() if is_string(kind) else kind)


def _numbers(name: str, column: pa.ChunkedArray, *, is_id: bool) -> np.ndarray:
    """Return ids, all of which must be there, or coordinates, with NaN for an empty cell, as in FITS tables."""
    if not len(column):
        # An empty CSV file has no types.
        return np.empty(0, np.int64 if is_id else np.float64)
    is_integer = pa.types.is_integer(column.type) and not pa.types.is_uint64(column.type)
    has_type = is_integer or (pa.types.is_floating(column.type) and not is_id)
    if not has_type or (is_id and column.null_count):
        what = "one integer per row" if is_id else "one number per row"
        raise SourceTableError(f"{name} must be {what}, got {column.null_count} nulls and type {column.type}")
    if is_id:
        return np.asarray(column.cast(pa.int64()).to_numpy())
    return np.asarray(column.cast(pa.float64()).fill_null(np.nan).to_numpy())
