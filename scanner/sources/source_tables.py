"""Reads ids and positions from source catalogues in Parquet or CSV."""

import numpy as np
import pyarrow as pa

from infra.store.storage import info, read_bytes
from scanner.files.fits_source_table import MAX_SOURCES, SourceColumns, Sources, SourceTableError
from scanner.files.parquet_checked import BadParquetError, ParquetInput
from scanner.sources.object_tables import MAX_TABLE_BYTES, PARQUET_MAGIC, Columns, csv_texts, typed

TABLE_SUFFIXES = (".parquet", ".csv")
"""Endings of the names of catalogues that are not FITS."""


def read_table_sources(uri: str, max_bytes: int, columns: SourceColumns) -> Sources:
    """Return the columns of a table, whose names may be in upper or lower case; the file is held in memory.

    Raises:
        SourceTableError: a column is missing, ids or positions are not numbers, or the file is too large.
        ManifestError: the file is neither Parquet nor CSV.
        OSError: the file is missing, or the store failed.
    """
    n_bytes, most = info(uri).size, min(max_bytes, MAX_TABLE_BYTES)
    if n_bytes > most:
        raise SourceTableError(f"must have at most {most} bytes, got {n_bytes}")
    data = read_bytes(uri)
    found = _parquet(data, columns) if data.startswith(PARQUET_MAGIC) else _csv(data, columns)
    *ids, ra, dec = (_numbers(name, found[name], is_id=name == columns.id) for name in filter(None, columns))
    return ids[0] if ids else None, ra, dec


def _parquet(data: bytes, columns: SourceColumns) -> Columns:
    try:
        file = ParquetInput(pa.BufferReader(data), MAX_TABLE_BYTES, MAX_SOURCES)
        names = _matching(file.names, columns)
        table = file.read(list(names.values()), MAX_TABLE_BYTES)
    except BadParquetError as error:
        raise SourceTableError(str(error)) from error
    return {name: table[there] for name, there in names.items()}


def _csv(data: bytes, columns: SourceColumns) -> Columns:
    there, texts = csv_texts("the table", data)
    names = _matching(there, columns)
    return {name: typed(name, texts[there.index(of)]) for name, of in names.items()}


def _matching(there: list[str], columns: SourceColumns) -> dict[str, str]:
    """Return the names in a table by the names that the survey's description gives."""
    by_upper = {name.upper(): name for name in there}
    if missing := [name for name in columns if name is not None and name.upper() not in by_upper]:
        raise SourceTableError(f"has no column {', '.join(missing)}; it has {', '.join(there)[:200]}")
    return {name: by_upper[name.upper()] for name in columns if name is not None}


def _numbers(name: str, column: pa.ChunkedArray, *, is_id: bool) -> np.ndarray:
    is_integer = pa.types.is_integer(column.type) and not pa.types.is_uint64(column.type)
    if column.null_count or not (is_integer or (pa.types.is_floating(column.type) and not is_id)):
        what = "one integer per row" if is_id else "one number per row"
        raise SourceTableError(f"{name} must be {what}, got {column.null_count} nulls and type {column.type}")
    return np.asarray(column.cast(pa.int64() if is_id else pa.float64()).to_numpy())
