"""Positions on the sky: a table with a right ascension and a declination for each object."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from infra.quiet import without_warnings
from infra.store.files import one_line
from scanner.files.parquet_checked import BadParquetError, ParquetInput
from scanner.files.source_table import wrong_unit
from scanner.sources.object_tables import (
    FITS_MAGIC,
    ID_NAMES,
    MAX_ROWS,
    MAX_TABLE_BYTES,
    PARQUET_MAGIC,
    RA_NAMES,
    XML_MAGIC,
    Columns,
    ManifestError,
    coordinates,
    csv_texts,
    parquet_others,
    table_bytes,
    text_ids,
    typed,
)

DEC_NAMES = ("DEC", "DECLINATION", "DEJ2000", "DECJ2000", "DE_ICRS", "DEC_ICRS")
"""Names of columns of declinations, in upper case, the likeliest first."""


@dataclass(frozen=True)
class SkyPositions:
    """Objects in the order of their table, `[n]` each."""

    object_ids: pa.Array
    """Ids, as string or int64; numbers from 1 where the table has none."""
    ra: NDArray[np.float64]
    """Right ascensions in deg; NaN where there is none."""
    dec: NDArray[np.float64]
    others: Columns
    """Other columns of the table, for the output."""

    def __len__(self) -> int:
        return len(self.object_ids)


def read_positions(uri: str) -> SkyPositions:
    """Read a CSV, Parquet, FITS or VOTable file with columns such as `ra` and `dec`, in deg, and perhaps `object_id`.

    Raises:
        ManifestError: the file cannot be read, has no such columns, or they hold no numbers in deg.
    """
    return positions_in(positions_bytes(uri), uri)


def positions_in(data: bytes, uri: str, id_names: Sequence[str] = ID_NAMES) -> SkyPositions:
    """Read the content of a file as `read_positions` does; messages name the file `uri`.

    Ids come from the column that has the first of `id_names`, in any case; none of them may be empty.
    """
    label = _label(uri)
    columns, units = _columns(label, data)
    ra_name, dec_name = (_named(label, columns, names) for names in (RA_NAMES, DEC_NAMES))
    if not (ra_name and dec_name):
        missing = RA_NAMES if not ra_name else DEC_NAMES
        raise ManifestError(f"{label}: needs a column {' or '.join(missing).lower()}, got {', '.join(columns)[:200]}")
    for name in (ra_name, dec_name):
        if says := wrong_unit(name, units.get(name, "")):
            raise ManifestError(f"{label}: {says}")
    id_name = _named(label, columns, id_names)
    ids = columns[id_name] if id_name else pa.chunked_array([np.arange(1, len(columns[ra_name]) + 1)])
    return SkyPositions(
        _ids(label, ids),
        _degrees(label, ra_name, columns[ra_name]),
        _degrees(label, dec_name, columns[dec_name]),
        {name: column for name, column in columns.items() if name not in {ra_name, dec_name, id_name}},
    )


def positions_bytes(uri: str) -> bytes:
    """Return the content of a file of positions.

    Raises:
        ManifestError: the file cannot be read, or is too large.
    """
    return table_bytes(_label(uri), uri)


def _label(uri: str) -> str:
    return f"positions {uri}"


def _columns(label: str, data: bytes) -> tuple[Columns, dict[str, str]]:
    """Return every column by name, and the units that FITS and VOTable files state; ids of a CSV file keep their zeros."""
    if data.startswith(PARQUET_MAGIC):
        try:
            return parquet_others(label, ParquetInput(pa.BufferReader(data), MAX_TABLE_BYTES, MAX_ROWS), ()), {}
        except BadParquetError as error:
            raise ManifestError(f"{label}: {error}") from error
    if data.startswith(FITS_MAGIC):
        return _by_astropy(label, data, "fits")
    if data.startswith(XML_MAGIC):
        return _by_astropy(label, data, "votable")
    names, texts = csv_texts(label, data)
    cells = {name: column for name, column in zip(names, texts, strict=True) if name}
    places = {*RA_NAMES, *DEC_NAMES}
    return {name: coordinates(column) if name.upper() in places else typed(name, column) for name, column in cells.items()}, {}


def _by_astropy(label: str, data: bytes, kind: str) -> tuple[Columns, dict[str, str]]:
    # Imported here because it takes half a second, and every command that reads a catalogue imports this file.
    from astropy.table import Table

    try:
        with without_warnings():
            table = Table.read(io.BytesIO(data), format=kind)
            table.convert_bytestring_to_unicode()
            units = {name: str(unit) for name in table.colnames if (unit := table[name].info.unit) is not None}
            return {name: column for name in table.colnames if (column := _arrow(table[name])) is not None}, units
    except Exception as error:  # astropy raises many types for malformed tables
        raise ManifestError(f"{label}: cannot be read: {one_line(error)}") from error


def _arrow(column: np.ndarray) -> pa.ChunkedArray | None:
    """Return a column of astropy with nulls where it is masked; None for columns of arrays."""
    values = np.ma.getdata(column)
    if values.ndim != 1:
        return None
    if values.dtype.kind not in "biuf":
        values = np.array([str(value) for value in values], object)
    else:
        values = values.astype(values.dtype.newbyteorder("="))
    return pa.chunked_array([pa.array(values, mask=np.ma.getmaskarray(column))])


def _named(label: str, columns: Columns, names: Sequence[str]) -> str | None:
    """Return the name of the column that has the likeliest of the names, in any case."""
    for name in names:
        found = [column for column in columns if column.upper() == name]
        if len(found) > 1:
            raise ManifestError(f"{label}: has several such columns: {', '.join(found)}")
        if found:
            return found[0]
    return None


def _ids(label: str, ids: pa.ChunkedArray) -> pa.Array:
    if ids.null_count:
        raise ManifestError(f"{label}: row {ids.is_null().index(True).as_py() + 1} has no object_id")
    if pa.types.is_integer(ids.type) and not pa.types.is_uint64(ids.type):
        return ids.cast(pa.int64()).combine_chunks()
    return text_ids(label, ids.cast(pa.string())).combine_chunks()


def _degrees(label: str, name: str, column: pa.ChunkedArray) -> NDArray[np.float64]:
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        if not len(column):
            raise ManifestError(f"{label}: has no rows")
        found = next((value for value in column.to_pylist() if value), "")
        raise ManifestError(f"{label}: column {name} must hold numbers in degrees, got {str(found)[:40]!r}")
    return np.asarray(column.cast(pa.float64()).fill_null(np.nan).to_numpy())
