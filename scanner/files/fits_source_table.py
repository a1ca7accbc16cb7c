"""Ids and positions from a FITS table of sources, of which no more than a few rows are in memory at a time."""

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from infra.quiet import without_warnings
from scanner.files.fits_hdus import BLOCK, MAX_FIELDS, Hdu
from scanner.files.fits_stream import FitsStream

MAX_SOURCES = 2**22
"""A MER tile has about 200 000."""
MAX_ROW_BYTES = 2**20
_PIECE_BYTES = 2**25
_COLUMNS = ("OBJECT_ID", "RIGHT_ASCENSION", "DECLINATION")

Sources = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]
"""Ids, right ascensions and declinations, as many of each."""


class SourceTableError(ValueError):
    """A table that is none of sources."""


def read_sources(uri: str, max_bytes: int) -> Sources:
    """The columns OBJECT_ID, RIGHT_ASCENSION and DECLINATION, in any case, of the first table that has them.

    Raises:
        SourceTableError: there is no such table, it is too large, or ids or positions are no numbers.
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


def _places(hdu: Hdu) -> dict[str, int]:
    """Number of each column, from 1, by its name in upper case."""
    if str(hdu.header.get("XTENSION", "")).strip() != "BINTABLE" or hdu.is_compressed:
        return {}
    numbers = range(1, min(int(hdu.header["TFIELDS"]), MAX_FIELDS) + 1)
    return {str(hdu.header.get(f"TTYPE{i}", "")).strip().upper(): i for i in numbers}


def _has_columns(hdu: Hdu) -> bool:
    return set(_COLUMNS) <= set(_places(hdu))


def _no_table(_name: str, _hdus: Sequence[Hdu]) -> SourceTableError:
    return SourceTableError(f"needs a table with the columns {', '.join(_COLUMNS)}")


def _size(hdu: Hdu) -> tuple[int, int]:
    """Rows, and bytes of each."""
    if hdu.header["NAXIS"] != 2 or hdu.header["BITPIX"] != 8:
        raise SourceTableError("a table must be two-dimensional and of bytes")
    row_bytes, n_rows = int(hdu.header["NAXIS1"]), int(hdu.header["NAXIS2"])
    if n_rows > MAX_SOURCES or row_bytes > MAX_ROW_BYTES:
        limits = f"{MAX_SOURCES} rows of {MAX_ROW_BYTES} bytes"
        raise SourceTableError(f"must have at most {limits}, got {n_rows} of {row_bytes}")
    return n_rows, row_bytes


def _pieces(stream: FitsStream, n_rows: int, row_bytes: int) -> Iterator[Sources]:
    """The columns of some rows after another; of none where there are none, for their types to be checked."""
    header = _header(stream.hdu)
    n_piece = max(1, _PIECE_BYTES // max(row_bytes, 1))
    for start in range(0, max(n_rows, 1), n_piece):
        header["NAXIS2"] = n = min(n_piece, n_rows - start)
        yield _columns(header, b"".join((*stream.pieces(n * row_bytes), bytes(-n * row_bytes % BLOCK))))


def _header(hdu: Hdu) -> fits.Header:
    """What is needed of the header to read the columns, each under its number; nothing lies behind the rows."""
    places = {name: _places(hdu)[name] for name in _COLUMNS}
    kept = ["XTENSION", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "PCOUNT", "GCOUNT", "TFIELDS"]
    kept += [f"{key}{i + 1}" for i in range(int(hdu.header["TFIELDS"])) for key in ("TTYPE", "TFORM")]
    kept += [f"{key}{place}" for place in places.values() for key in ("TSCAL", "TZERO", "TDIM")]
    values = {key: hdu.header[key] for key in kept if key in hdu.header}
    return fits.Header(values | {"PCOUNT": 0, "GCOUNT": 1} | {f"TTYPE{place}": name for name, place in places.items()})


def _columns(header: fits.Header, rows: bytes) -> Sources:
    """Of rows as they lie in the file, read as if they were all there is."""
    with without_warnings():
        table = fits.BinTableHDU.fromstring(header.tostring().encode("ascii") + rows)
        ids, ra, dec = (np.asarray(table.data[name]) for name in _COLUMNS)
    if ids.ndim != 1 or not np.can_cast(ids.dtype, np.int64, "safe"):
        raise SourceTableError(f"OBJECT_ID must be one integer per row, got {ids.dtype}; floats lose digits")
    if not all(values.shape == ids.shape and values.dtype.kind in "fiu" for values in (ra, dec)):
        raise SourceTableError(f"positions must be one number per row, got {ra.dtype} and {dec.dtype}")
    return ids.astype(np.int64), ra.astype(np.float64), dec.astype(np.float64)
