"""Reads ids and positions from a FITS table of sources, with only a few rows of the table in memory at a time."""

import contextlib
from collections.abc import Iterator, Sequence

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
_COLUMNS = ("OBJECT_ID", "RIGHT_ASCENSION", "DECLINATION")

Sources = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]
"""Ids, right ascensions and declinations, `[n]` each."""


class SourceTableError(ValueError):
    """The file holds no usable table of sources."""


def read_sources(uri: str, max_bytes: int) -> Sources:
    """Return OBJECT_ID, RIGHT_ASCENSION and DECLINATION (in upper or lower case) of the first table that has them.

    Raises:
        SourceTableError: there is no such table, it is too large, or ids or positions are not numbers.
        Rejection: the file cannot be read or is damaged.
    """
    with contextlib.closing(FitsStream(uri, max_bytes, _has_columns, _no_table)) as stream:
        stream.forget_copy()
        n_rows, row_bytes = _size(stream.hdu)
        ids = np.empty(n_rows, np.int64)
        ra, dec = np.empty(n_rows), np.empty(n_rows)
        start = 0
        for piece in _pieces(stream, n_rows, row_bytes):
            stop = start + len(piece[0])
            ids[start:stop], ra[start:stop], dec[start:stop] = piece
            start = stop
        stream.finish()
    return ids, ra, dec


def _column_numbers(hdu: Hdu) -> dict[str, int]:
    """Return the number of each column, counted from 1, by its name in upper case."""
    if str(hdu.header.get("XTENSION", "")).strip() != "BINTABLE" or hdu.is_compressed:
        return {}
    numbers = range(1, min(int(hdu.header["TFIELDS"]), MAX_FIELDS) + 1)
    return {str(hdu.header.get(f"TTYPE{i}", "")).strip().upper(): i for i in numbers}


def _has_columns(hdu: Hdu) -> bool:
    return set(_COLUMNS) <= set(_column_numbers(hdu))


def _no_table(_name: str, _hdus: Sequence[Hdu]) -> SourceTableError:
    return SourceTableError(f"needs a table with the columns {', '.join(_COLUMNS)}")


def _size(hdu: Hdu) -> tuple[int, int]:
    """Return the number of rows, and the bytes in each row."""
    if hdu.header["NAXIS"] != 2 or hdu.header["BITPIX"] != 8:
        raise SourceTableError("a table must have NAXIS = 2 and BITPIX = 8")
    row_bytes, n_rows = int(hdu.header["NAXIS1"]), int(hdu.header["NAXIS2"])
    if n_rows > MAX_SOURCES or row_bytes > MAX_ROW_BYTES:
        limits = f"{MAX_SOURCES} rows of {MAX_ROW_BYTES} bytes"
        raise SourceTableError(f"must have at most {limits}, got {n_rows} of {row_bytes}")
    return n_rows, row_bytes


def _pieces(stream: FitsStream, n_rows: int, row_bytes: int) -> Iterator[Sources]:
    """Yield the columns a few rows at a time; an empty table yields one empty piece, so that its types are checked."""
    header = _header(stream.hdu)
    n_piece = max(1, _PIECE_BYTES // max(row_bytes, 1))
    for start in range(0, max(n_rows, 1), n_piece):
        header["NAXIS2"] = n = min(n_piece, n_rows - start)
        yield _columns(header, b"".join((*stream.pieces(n * row_bytes), bytes(-n * row_bytes % BLOCK))))


def _header(hdu: Hdu) -> fits.Header:
    """Return a header with only the cards needed to read the columns, for a table without data after the rows."""
    numbers = {name: _column_numbers(hdu)[name] for name in _COLUMNS}
    kept = ["XTENSION", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "PCOUNT", "GCOUNT", "TFIELDS"]
    kept += [f"{key}{i + 1}" for i in range(int(hdu.header["TFIELDS"])) for key in ("TTYPE", "TFORM")]
    kept += [f"{key}{number}" for number in numbers.values() for key in ("TSCAL", "TZERO", "TDIM")]
    values = {key: hdu.header[key] for key in kept if key in hdu.header}
    return fits.Header(values | {"PCOUNT": 0, "GCOUNT": 1} | {f"TTYPE{number}": name for name, number in numbers.items()})


def _columns(header: fits.Header, rows: bytes) -> Sources:
    """Return the columns of some rows given as raw bytes, read as a table of their own."""
    with without_warnings():
        table = fits.BinTableHDU.fromstring(header.tostring().encode("ascii") + rows)
        ids, ra, dec = (np.asarray(table.data[name]) for name in _COLUMNS)
    if ids.ndim != 1 or not np.can_cast(ids.dtype, np.int64, "safe"):
        raise SourceTableError(f"OBJECT_ID must be one integer per row, got {ids.dtype}; floats lose digits")
    if not all(values.shape == ids.shape and values.dtype.kind in "fiu" for values in (ra, dec)):
        raise SourceTableError(f"positions must be one number per row, got {ra.dtype} and {dec.dtype}")
    return ids.astype(np.int64), ra.astype(np.float64), dec.astype(np.float64)
