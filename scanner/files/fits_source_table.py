"""Reads ids, positions and chosen columns from a FITS table of sources, with only a few of its rows in memory at a time."""

import contextlib
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import pyarrow as pa
from astropy.io import fits
from numpy.typing import NDArray

from infra.quiet import without_warnings
from infra.store.storage import FileInfo
from scanner.files.fits_columns import FitsColumn, SourceTableError, column_numbers, fits_columns, null_values, scaling
from scanner.files.fits_hdus import BLOCK, Hdu
from scanner.files.fits_stream import FitsStream
from scanner.files.source_table import MAX_SOURCES, SourceColumns, SourceTable

MAX_ROW_BYTES = 2**20
_PIECE_BYTES = 2**25

MER_COLUMNS = SourceColumns("OBJECT_ID", "RIGHT_ASCENSION", "DECLINATION")


def read_sources(
    uri: str,
    max_bytes: int,
    columns: SourceColumns = MER_COLUMNS,
    needed: Sequence[str] = (),
    wanted: Sequence[str] = (),
    listed: FileInfo | None = None,
) -> SourceTable:
    """Return the sources of the first table that has these columns; case does not count in names.

    Args:
        uri: File to read.
        max_bytes: Largest size of the file.
        columns: Columns of ids and positions.
        needed: Further columns that the table must have; without one of them, no row is read.
        wanted: Further columns to read if the table has them.
        listed: The file as a listing showed it; another version of the file is refused.

    Raises:
        MissingColumnsError: the table lacks a needed column.
        SourceTableError: there is no such table, it is too large, or a column has another type than it must.
        Rejection: the file cannot be read or is damaged.
    """
    is_table, none = partial(_has_columns, columns), partial(_no_table, columns)
    with contextlib.closing(FitsStream(uri, max_bytes, is_table, none, listed)) as stream:
        stream.forget_copy()
        n_rows, row_bytes = _size(stream.hdu)
        more = fits_columns(stream.hdu, needed, wanted)
        null_ids = () if columns.id is None else null_values(stream.hdu, column_numbers(stream.hdu)[columns.id.upper()])
        ids = np.empty(n_rows, np.int64)
        ra, dec = np.empty(n_rows), np.empty(n_rows)
        others: list[pa.Table] = []
        start = 0
        for piece in _pieces(stream, n_rows, row_bytes, columns, more):
            stop = start + len(piece.ra)
            if piece.ids is not None:
                for null in null_ids:
                    if (is_null := piece.ids == null).any():
                        raise SourceTableError(f"row {start + int(np.argmax(is_null)) + 1} has no {columns.id}")
                ids[start:stop] = piece.ids
            ra[start:stop], dec[start:stop] = piece.ra, piece.dec
            others.append(piece.others)
            start = stop
        stream.finish()
        numbers = column_numbers(stream.hdu)
        ra_unit, dec_unit = (
            str(stream.hdu.header.get(f"TUNIT{numbers[name.upper()]}", "")) for name in (columns.ra, columns.dec)
        )
    known = tuple(name.lower() for name in numbers)
    return SourceTable(None if columns.id is None else ids, ra, dec, pa.concat_tables(others), known, (ra_unit, dec_unit))


def _has_columns(columns: SourceColumns, hdu: Hdu) -> bool:
    return set(columns.names()) <= set(column_numbers(hdu))


def _no_table(columns: SourceColumns, _name: str, hdus: Sequence[Hdu]) -> SourceTableError:
    tables = [", ".join(numbers) for hdu in hdus if (numbers := column_numbers(hdu))]
    has = f"the file has a table with {' and a table with '.join(tables)[:200]}" if tables else "the file has no table"
    return SourceTableError(f"needs a table with the columns {', '.join(filter(None, columns))}; {has}")


def _size(hdu: Hdu) -> tuple[int, int]:
    """Return the number of rows, and the bytes in each row."""
    if hdu.header["NAXIS"] != 2 or hdu.header["BITPIX"] != 8:
        raise SourceTableError("a table must have NAXIS = 2 and BITPIX = 8")
    row_bytes, n_rows = int(hdu.header["NAXIS1"]), int(hdu.header["NAXIS2"])
    if n_rows > MAX_SOURCES or row_bytes > MAX_ROW_BYTES:
        limits = f"{MAX_SOURCES} rows of {MAX_ROW_BYTES} bytes"
        raise SourceTableError(f"must have at most {limits}, got {n_rows} of {row_bytes}")
    return n_rows, row_bytes


def _pieces(
    stream: FitsStream, n_rows: int, row_bytes: int, columns: SourceColumns, more: Sequence[FitsColumn]
) -> Iterator[SourceTable]:
    """Yield the columns a few rows at a time; an empty table yields one empty piece, so that its types are checked."""
    header = _header(stream.hdu, columns, more)
    n_piece = max(1, _PIECE_BYTES // max(row_bytes, 1))
    for start in range(0, max(n_rows, 1), n_piece):
        header["NAXIS2"] = n = min(n_piece, n_rows - start)
        rows = b"".join((*stream.pieces(n * row_bytes), bytes(-n * row_bytes % BLOCK)))
        yield _sources(header, rows, columns, more)


def _header(hdu: Hdu, columns: SourceColumns, more: Sequence[FitsColumn]) -> fits.Header:
    """Return a header with only the cards needed to read the columns, for a table without data after the rows."""
    known = column_numbers(hdu)
    numbers = {name: known[name] for name in columns.names()}
    kept = ["XTENSION", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "PCOUNT", "GCOUNT", "TFIELDS"]
    kept += [f"{key}{i + 1}" for i in range(int(hdu.header["TFIELDS"])) for key in ("TTYPE", "TFORM")]
    kept += [f"TDIM{number}" for number in numbers.values()]
    read = [*numbers.values(), *(column.number for column in more)]
    kept += [f"{key}{number}" for number in read for key in ("TSCAL", "TZERO")]
    values = {key: hdu.header[key] for key in kept if key in hdu.header}
    for number in read:
        # Whole numbers as integers: astropy cannot add a float to unsigned integers.
        scales = zip((f"TSCAL{number}", f"TZERO{number}"), scaling(hdu, number), strict=True)
        values |= {key: value for key, value in scales if key in values}
    return fits.Header(values | {"PCOUNT": 0, "GCOUNT": 1} | {f"TTYPE{number}": name for name, number in numbers.items()})


def _sources(header: fits.Header, rows: bytes, columns: SourceColumns, more: Sequence[FitsColumn]) -> SourceTable:
    """Return the columns of some rows given as raw bytes, read as a table of their own."""
    with without_warnings():
        table = fits.BinTableHDU.fromstring(header.tostring().encode("ascii") + rows, uint=True)
        *ids, ra, dec = (np.asarray(table.data[name]) for name in columns.names())
        others = [column.array(np.asarray(table.data.field(column.number - 1))) for column in more]
    if not all(values.ndim == 1 and values.dtype.kind in "fiu" for values in (ra, dec)):
        raise SourceTableError(f"positions must be one number per row, got {ra.dtype} and {dec.dtype}")
    schema = pa.schema([column.field(array.type) for column, array in zip(more, others, strict=True)])
    table = pa.Table.from_arrays(others, schema=schema)
    own = _int64(columns.id, ids[0]) if columns.id else None
    return SourceTable(own, ra.astype(np.float64), dec.astype(np.float64), table)


def _int64(name: str, ids: np.ndarray) -> NDArray[np.int64]:
    if ids.dtype.kind in "SU":
        such = f", such as {str(ids.flat[0])[:40]!r}" if ids.size else ""
        without = "without the key catalogue.id, ids are made from positions"
        raise SourceTableError(f"column {name} holds text{such}; ids must be whole numbers; {without}")
    if ids.ndim != 1 or ids.dtype.kind not in "iu":
        why = "; floats lose digits" if ids.dtype.kind == "f" else ""
        raise SourceTableError(
            f"{name} must be one integer per row, got {'' if ids.ndim == 1 else 'arrays of '}{ids.dtype}{why}"
        )
    if ids.dtype.kind == "u" and (is_large := ids >= 2**63).any():
        raise SourceTableError(f"column {name} holds {ids[is_large][0]}; ids must be below 2^63")
    return ids.astype(np.int64)
