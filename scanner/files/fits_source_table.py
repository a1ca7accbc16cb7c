"""Reads ids and positions from a FITS table of sources, with only a few rows of the table in memory at a time."""

import contextlib
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from infra.quiet import without_warnings
from scanner.files.fits_hdus import BLOCK, MAX_FIELDS, Hdu
from scanner.files.fits_stream import FitsStream

MAX_SOURCES = 2**22
"""Largest number of sources in a table; a MER tile has about 200 000."""
MAX_ROW_BYTES = 2**20
_PIECE_BYTES = 2**25

Sources = tuple[NDArray[np.int64] | None, NDArray[np.float64], NDArray[np.float64]]
"""Ids, right ascensions and declinations, `[n]` each; no ids if the table has none."""


class SourceColumns(NamedTuple):
    """Names of columns, in any case."""

    id: str | None
    ra: str
    dec: str

    def names(self) -> tuple[str, ...]:
        """Return the names in upper case, that of the ids first if there are ids."""
        return tuple(name.upper() for name in self if name is not None)


MER_COLUMNS = SourceColumns("OBJECT_ID", "RIGHT_ASCENSION", "DECLINATION")


class SourceTableError(ValueError):
    """The file holds no usable table of sources."""


def read_sources(uri: str, max_bytes: int, columns: SourceColumns = MER_COLUMNS) -> Sources:
    """Return ids and positions of the first table that has these columns.

    Raises:
        SourceTableError: there is no such table, it is too large, or ids or positions are not numbers.
        Rejection: the file cannot be read or is damaged.
    """
    wanted, none = partial(_has_columns, columns), partial(_no_table, columns)
    with contextlib.closing(FitsStream(uri, max_bytes, wanted, none)) as stream:
        stream.forget_copy()
        n_rows, row_bytes = _size(stream.hdu)
        ids = np.empty(n_rows, np.int64)
        ra, dec = np.empty(n_rows), np.empty(n_rows)
        start = 0
        for of_ids, of_ra, of_dec in _pieces(stream, n_rows, row_bytes, columns):
            stop = start + len(of_ra)
            if of_ids is not None:
                ids[start:stop] = of_ids
            ra[start:stop], dec[start:stop] = of_ra, of_dec
            start = stop
        stream.finish()
    return None if columns.id is None else ids, ra, dec


def _column_numbers(hdu: Hdu) -> dict[str, int]:
    """Return the number of each column, counted from 1, by its name in upper case."""
    if str(hdu.header.get("XTENSION", "")).strip() != "BINTABLE" or hdu.is_compressed:
        return {}
    numbers = range(1, min(int(hdu.header["TFIELDS"]), MAX_FIELDS) + 1)
    return {str(hdu.header.get(f"TTYPE{i}", "")).strip().upper(): i for i in numbers}


def _has_columns(columns: SourceColumns, hdu: Hdu) -> bool:
    return set(columns.names()) <= set(_column_numbers(hdu))


def _no_table(columns: SourceColumns, _name: str, _hdus: Sequence[Hdu]) -> SourceTableError:
    return SourceTableError(f"needs a table with the columns {', '.join(filter(None, columns))}")


def _size(hdu: Hdu) -> tuple[int, int]:
    """Return the number of rows, and the bytes in each row."""
    if hdu.header["NAXIS"] != 2 or hdu.header["BITPIX"] != 8:
        raise SourceTableError("a table must have NAXIS = 2 and BITPIX = 8")
    row_bytes, n_rows = int(hdu.header["NAXIS1"]), int(hdu.header["NAXIS2"])
    if n_rows > MAX_SOURCES or row_bytes > MAX_ROW_BYTES:
        limits = f"{MAX_SOURCES} rows of {MAX_ROW_BYTES} bytes"
        raise SourceTableError(f"must have at most {limits}, got {n_rows} of {row_bytes}")
    return n_rows, row_bytes


def _pieces(stream: FitsStream, n_rows: int, row_bytes: int, columns: SourceColumns) -> Iterator[Sources]:
    """Yield the columns a few rows at a time; an empty table yields one empty piece, so that its types are checked."""
    header = _header(stream.hdu, columns)
    n_piece = max(1, _PIECE_BYTES // max(row_bytes, 1))
    for start in range(0, max(n_rows, 1), n_piece):
        header["NAXIS2"] = n = min(n_piece, n_rows - start)
        rows = b"".join((*stream.pieces(n * row_bytes), bytes(-n * row_bytes % BLOCK)))
        yield _columns(header, rows, columns)


def _header(hdu: Hdu, columns: SourceColumns) -> fits.Header:
    """Return a header with only the cards needed to read the columns, for a table without data after the rows."""
    numbers = {name: _column_numbers(hdu)[name] for name in columns.names()}
    kept = ["XTENSION", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "PCOUNT", "GCOUNT", "TFIELDS"]
    kept += [f"{key}{i + 1}" for i in range(int(hdu.header["TFIELDS"])) for key in ("TTYPE", "TFORM")]
    kept += [f"{key}{number}" for number in numbers.values() for key in ("TSCAL", "TZERO", "TDIM")]
    values = {key: hdu.header[key] for key in kept if key in hdu.header}
    return fits.Header(values | {"PCOUNT": 0, "GCOUNT": 1} | {f"TTYPE{number}": name for name, number in numbers.items()})


def _columns(header: fits.Header, rows: bytes, columns: SourceColumns) -> Sources:
    """Return the columns of some rows given as raw bytes, read as a table of their own."""
    with without_warnings():
        table = fits.BinTableHDU.fromstring(header.tostring().encode("ascii") + rows)
        *ids, ra, dec = (np.asarray(table.data[name]) for name in columns.names())
    for values in ids:
        if values.ndim != 1 or not np.can_cast(values.dtype, np.int64, "safe"):
            raise SourceTableError(f"{columns.id} must be one integer per row, got {values.dtype}; floats lose digits")
    if not all(values.ndim == 1 and values.dtype.kind in "fiu" for values in (ra, dec)):
        raise SourceTableError(f"positions must be one number per row, got {ra.dtype} and {dec.dtype}")
    return ids[0].astype(np.int64) if ids else None, ra.astype(np.float64), dec.astype(np.float64)
