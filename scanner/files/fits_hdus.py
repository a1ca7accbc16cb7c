"""The HDUs of a FITS file: the one parser of headers, for files in memory and for files that are read as a stream.

The reader does not trust the files: it checks sizes before it allocates memory, and detects a file that is cut anywhere
(FITS Standard 4.0, section 3: whole blocks of 2880 bytes).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from infra.quiet import without_warnings
from scanner.files.fits_bytes import ByteSource, more_than
from scanner.files.fits_checksums import folded, word_sum
from scanner.vocabulary.rejections import RejectCode, Rejection

if TYPE_CHECKING:
    # Not imported: it takes long, and commands that need no FITS file import this file, too.
    from astropy.io.fits import Header

BLOCK = 2880
MAX_FIELDS = 999
MAX_HDUS = 1000
MAX_HEADER_BLOCKS = 1000
MAX_HEADER_BYTES = 2**25
"""Largest total size of the headers of a file; in memory they take five times as much."""
_DTYPES = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
_END = b"END".ljust(80)


@dataclass(frozen=True)
class Hdu:
    """One header-data unit; offsets are in bytes, and `end` includes the padding."""

    file_name: str
    index: int
    header: "Header"
    header_sum: int
    """Ones'-complement sum of the header's words."""
    start: int
    data_start: int
    data_size: int
    end: int

    @property
    def name(self) -> str:
        """EXTNAME in upper case; PRIMARY for a first HDU without EXTNAME."""
        return str(self.header.get("EXTNAME", "PRIMARY" if self.index == 0 else "")).strip().upper()

    @property
    def label(self) -> str:
        """Name of the HDU in messages: file and extension."""
        return f"{self.file_name}[{self.name or self.index}]"

    @property
    def is_compressed(self) -> bool:
        """True if this is an image in a binary table (tile compression)."""
        return self.index > 0 and self._kind == "BINTABLE" and bool(self.header.get("ZIMAGE", False))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the image, slowest axis first (`[y, x]`); empty if the HDU is a table or has no data."""
        is_image = self.index == 0 or self._kind == "IMAGE"
        if not (is_image or self.is_compressed):
            return ()
        return _axes(self.header, "ZNAXIS" if self.is_compressed else "NAXIS")[::-1]

    @property
    def dtype(self) -> np.dtype:
        """Data type of the stored pixels."""
        return np.dtype(_DTYPES[int(self.header["BITPIX"])])

    @property
    def has_sums(self) -> bool:
        return any(str(self.header.get(key, "")).strip() for key in ("CHECKSUM", "DATASUM"))

    def check_sums(self, data_sum: int) -> None:
        """Raise FITS_UNREADABLE if CHECKSUM or DATASUM is present and does not match; `data_sum` is that of all its data."""
        stated = str(self.header.get("DATASUM", "")).strip()
        if stated and stated != str(data_sum):
            cause = "damaged, or sums not renewed (checksum=True)"
            detail = f"{self.label}: DATASUM is {data_sum}, the header states {stated}: {cause}"
            raise Rejection(RejectCode.FITS_UNREADABLE, detail)
        total = folded(self.header_sum + data_sum)
        if str(self.header.get("CHECKSUM", "")).strip() and total not in {0, 0xFFFFFFFF}:
            raise Rejection(RejectCode.FITS_UNREADABLE, f"{self.label}: CHECKSUM does not match")

    @property
    def _kind(self) -> str:
        """XTENSION of an extension; empty for the primary HDU."""
        return str(self.header.get("XTENSION", "")).strip()


class HduReader:
    """Finds the HDUs of a file from front to back, and detects where a cut file ends."""

    def __init__(self, name: str, source: ByteSource, max_bytes: int) -> None:
        self.hdus: list[Hdu] = []
        """HDUs found so far; the data of the last one may be cut."""
        self._name, self._source, self._max_bytes = name, source, max_bytes
        self._header_bytes = 0

    def next_hdu(self) -> Hdu | None:
        """Skip the rest of the current HDU; return the next one, with the source at its data, or None after the last.

        Raises:
            Rejection: FITS_UNREADABLE, not FITS or an impossible header; FITS_TRUNCATED, the file ends in this HDU or in the
                one before; TOO_LARGE, too many HDUs or bytes of headers, or more than `max_bytes`.
        """
        if self.hdus:
            for _ in self.data(self.hdus[-1].end - self._source.position):
                pass
        start, size = self._source.position, self._source.n_bytes
        raw = self._read_header()
        if raw is None:
            return None
        hdu = _parse_header(self._name, raw, start, len(self.hdus))
        self.hdus.append(hdu)
        self._header_bytes += len(raw)
        if size is not None and hdu.end > size:
            raise self._ends_in_data(hdu, size)
        if hdu.end > self._max_bytes:
            raise more_than(self._name, self._max_bytes)
        return hdu

    def data(self, n_bytes: int) -> Iterator[memoryview]:
        """Yield the next `n_bytes` of the current HDU, in pieces of whole pixels.

        Raises:
            Rejection: FITS_TRUNCATED, or the file cannot be read.
        """
        hdu, stop = self.hdus[-1], self._source.position + n_bytes
        pixel_bytes = hdu.dtype.itemsize
        for piece in self._source.pieces(n_bytes):
            if len(piece) % pixel_bytes:
                raise self._ends_in_data(hdu, self._source.position)
            yield piece
        if self._source.position < stop:
            raise self._ends_in_data(hdu, self._source.position)

    def _read_header(self) -> bytes | None:
        """Return the header that begins here; None if no HDU does: the standard allows special records after the last HDU."""
        index, first = len(self.hdus), self._source.read(BLOCK)
        if index == 0:
            _check_begins_fits(self._name, first, self._source.n_bytes)
        elif not (first and b"XTENSION".startswith(first[:8])):
            return None
        if index >= MAX_HDUS:
            raise Rejection(RejectCode.TOO_LARGE, f"{self._name}: more than {MAX_HDUS} HDUs")
        if self._header_bytes > MAX_HEADER_BYTES:
            raise Rejection(RejectCode.TOO_LARGE, f"{self._name}: more than {MAX_HEADER_BYTES} bytes of headers")
        # Search only the last block for END: headers may have a thousand blocks.
        blocks = [first]
        while not _has_end(blocks[-1]):
            if len(blocks[-1]) < BLOCK:
                raise _ends_in_header(self._name, index, self._source.position)
            blocks.append(self._source.read(BLOCK))
            if len(blocks) > MAX_HEADER_BLOCKS and blocks[-1]:
                raise Rejection(RejectCode.FITS_UNREADABLE, f"{self._name}: the header of HDU {index} has no END card")
        return b"".join(blocks)

    def _ends_in_data(self, hdu: Hdu, n_bytes: int) -> Rejection:
        where = f"HDU {hdu.index} should end at byte {hdu.end}, the file ends at byte {n_bytes}"
        return Rejection(RejectCode.FITS_TRUNCATED, f"{self._name}: {where}")


def _check_begins_fits(name: str, first: bytes, n_bytes: int | None) -> None:
    """Raise FITS_UNREADABLE or FITS_TRUNCATED if this block does not begin a FITS file of `n_bytes` (None: unknown)."""
    if first.startswith(b"SIMPLE  ="):
        return
    if first and b"SIMPLE  =".startswith(first):
        raise _ends_in_header(name, 0, len(first))
    size = "" if n_bytes is None else f"{n_bytes} bytes that are "
    raise Rejection(RejectCode.FITS_UNREADABLE, f"{name}: {size}not a FITS file")


def _ends_in_header(name: str, index: int, n_bytes: int) -> Rejection:
    """Return the rejection of a file of `n_bytes` that ends in a header."""
    where = f"the file ends in the header of HDU {index}" if index else f"{n_bytes} bytes, the file ends in its first header"
    return Rejection(RejectCode.FITS_TRUNCATED, f"{name}: {where}")


def _has_end(block: bytes) -> bool:
    """Return whether a block is whole and one of its cards is END."""
    return len(block) == BLOCK and any(block[card : card + 80] == _END for card in range(0, BLOCK, 80))


def _parse_header(name: str, raw: bytes, start: int, index: int) -> Hdu:
    """Return the HDU that begins at `start` with this header; raise FITS_UNREADABLE if that is impossible."""
    # Imported here, as above.
    from astropy.io.fits import Header

    try:
        with without_warnings():
            header = Header.fromstring(raw)
            size = _data_size(header)
            data_start = start + len(raw)
            end = data_start + -(-size // BLOCK) * BLOCK
            hdu = Hdu(name, index, header, word_sum(raw), start, data_start, size, end)
            _check_values(hdu)
    except Exception as error:  # astropy raises many types for cards that are not FITS
        raise Rejection(RejectCode.FITS_UNREADABLE, f"{name}: header of HDU {index}: {error}") from error
    return hdu


def _check_values(hdu: Hdu) -> None:
    """Parse the values that later code uses, so that a malformed card fails here."""
    header = hdu.header
    _ = hdu.name, hdu.shape, hdu.is_compressed, header.get("CHECKSUM"), header.get("DATASUM")
    _ = float(header.get("BSCALE", 1)), float(header.get("BZERO", 0)), int(header.get("BLANK", 0)), int(header.get("ZTILE2", 1))
    # astropy loops over the number of fields in the header (FITS Standard 4.0, section 7.3.1: at most 999).
    if not 0 <= int(header.get("TFIELDS", 0)) <= MAX_FIELDS:
        raise ValueError(f"TFIELDS must be 0-{MAX_FIELDS}, got {header['TFIELDS']}")


def _data_size(header: "Header") -> int:
    bitpix = int(header["BITPIX"])
    if bitpix not in _DTYPES:
        raise ValueError(f"BITPIX must be one of {sorted(_DTYPES)}, got {bitpix}")
    axes = _axes(header, "NAXIS")
    parameters, groups = int(header.get("PCOUNT", 0)), int(header.get("GCOUNT", 1))
    if parameters < 0 or groups < 0:
        raise ValueError(f"PCOUNT and GCOUNT must be >= 0, got {parameters} and {groups}")
    return abs(bitpix) // 8 * groups * (parameters + prod(axes)) if axes else 0


def _axes(header: "Header", key: str) -> tuple[int, ...]:
    n_axes = int(header[key])
    if not 0 <= n_axes <= 999:
        raise ValueError(f"{key} must be 0-999, got {n_axes}")
    axes = tuple(int(header[f"{key}{i + 1}"]) for i in range(n_axes))
    if any(axis < 0 for axis in axes):
        raise ValueError(f"{key}n must be >= 0, got {axes}")
    return axes
