"""The HDUs of a FITS file in memory: offsets, completeness and pixels.

The reader does not trust the files: it checks sizes before it allocates memory, detects a file that is cut anywhere
(FITS Standard 4.0, section 3: whole blocks of 2880 bytes), and verifies checksums (appendix J).
"""

import io
from dataclasses import dataclass
from math import prod

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from infra.quiet import without_warnings
from scanner.files.fits_checksums import check_sums, ones_complement_sum
from scanner.files.fits_compression import compressed_image
from scanner.vocabulary.geometry import Image
from scanner.vocabulary.rejections import RejectCode, Rejection

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

    index: int
    header: fits.Header
    start: int
    data_start: int
    data_size: int
    end: int

    @property
    def name(self) -> str:
        """EXTNAME in upper case; PRIMARY for a first HDU without EXTNAME."""
        return str(self.header.get("EXTNAME", "PRIMARY" if self.index == 0 else "")).strip().upper()

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

    @property
    def _kind(self) -> str:
        """XTENSION of an extension; empty for the primary HDU."""
        return str(self.header.get("XTENSION", "")).strip()


@dataclass(frozen=True)
class FitsFile:
    """Headers of a file and its bytes; `truncation` describes where a cut file ends, empty if the file is whole."""

    name: str
    data: bytes
    hdus: tuple[Hdu, ...]
    truncation: str

    @classmethod
    def parse(cls, name: str, data: bytes) -> "FitsFile":
        """Read every header.

        Raises:
            Rejection: FITS_UNREADABLE, not FITS or an impossible header; FITS_TRUNCATED, cut in the first header;
                TOO_LARGE, too many HDUs or bytes of headers.
        """
        check_begins_fits(name, data, len(data))
        hdus: list[Hdu] = []
        offset = header_bytes = 0
        while begins_hdu(data[offset : offset + 8], len(hdus)):
            check_headers(name, len(hdus), header_bytes)
            hdu = _parse_hdu(name, data, offset, len(hdus))
            if hdu is None:
                where = ends_in_header(len(hdus), len(data))
                if not hdus:
                    raise truncated(name, where)
                return cls(name, data, tuple(hdus), where)
            hdus.append(hdu)
            offset = hdu.end
            header_bytes += hdu.data_start - hdu.start
            if offset > len(data):
                return cls(name, data, tuple(hdus), ends_in_data(hdu, len(data)))
        return cls(name, data, tuple(hdus), "")

    def label(self, hdu: Hdu) -> str:
        return label(self.name, hdu)

    def check_whole(self) -> None:
        """Raise FITS_TRUNCATED if any HDU is cut short: the reader uses no pixel of a damaged file."""
        if self.truncation:
            raise truncated(self.name, self.truncation)

    def check_sums(self, hdu: Hdu) -> None:
        """Raise FITS_UNREADABLE if CHECKSUM or DATASUM is present and does not match."""
        unit = np.frombuffer(self.data, ">u4", (hdu.end - hdu.start) // 4, hdu.start)
        n_header = (hdu.data_start - hdu.start) // 4
        check_sums(self.label(hdu), hdu.header, ones_complement_sum(unit[:n_header]), ones_complement_sum(unit[n_header:]))

    def stored_pixels(self, hdu: Hdu) -> NDArray:
        """Return `[y, x]` in the file's own type and byte order, without a copy and before BSCALE, BZERO and BLANK."""
        return np.frombuffer(self.data, hdu.dtype, prod(hdu.shape), hdu.data_start).reshape(hdu.shape)

    def pixels(self, hdu: Hdu) -> Image:
        """Return `[y, x]` as native float32 with BSCALE, BZERO and BLANK applied.

        Raises:
            Rejection: FITS_UNREADABLE, the compressed data cannot be decoded.
        """
        # Values that overflow float32 become infinite; a later check counts them as not finite.
        with np.errstate(over="ignore", invalid="ignore"):
            if hdu.is_compressed:
                return self._decompressed(hdu).astype(np.float32)
            return scaled(self.stored_pixels(hdu), hdu.header)

    def _decompressed(self, hdu: Hdu) -> NDArray:
        try:
            with without_warnings(), fits.open(io.BytesIO(self.data), memmap=False) as opened:
                return np.array(compressed_image(opened, hdu.index, hdu.shape).data).reshape(hdu.shape)
        except Exception as error:  # decoders raise many types for damaged streams
            raise not_decompressed(self.label(hdu), error) from error


def scaled(stored: NDArray, header: fits.Header) -> Image:
    """Return the physical values of stored ones as native float32: `BZERO + BSCALE * stored`, with NaN for BLANK."""
    scale, zero = float(header.get("BSCALE", 1)), float(header.get("BZERO", 0))
    if (scale, zero) == (1, 0):
        values = stored.astype(np.float32)
    elif (scale, zero, stored.dtype.str) == (1, 2**63, ">i8"):
        # Unsigned integers (FITS Standard 4.0, section 5.2.5): float64 would lose values below 1024.
        values = (stored.astype(np.int64).view(np.uint64) ^ np.uint64(2**63)).astype(np.float32)
    else:
        values = (stored * np.float64(scale) + zero).astype(np.float32)
    if "BLANK" in header and stored.dtype.kind in "iu":
        values[stored == int(header["BLANK"])] = np.nan
    return values


def label(name: str, hdu: Hdu) -> str:
    """Return the name of an HDU in messages: file and extension."""
    return f"{name}[{hdu.name or hdu.index}]"


def check_begins_fits(name: str, head: bytes, n_bytes: int | None) -> None:
    """Raise FITS_UNREADABLE or FITS_TRUNCATED if these first bytes do not begin a FITS file; `n_bytes` is its size if known."""
    if head.startswith(b"SIMPLE  ="):
        return
    if head and b"SIMPLE  =".startswith(head):
        raise truncated(name, ends_in_header(0, len(head)))
    size = "" if n_bytes is None else f"{n_bytes} bytes that are "
    raise Rejection(RejectCode.FITS_UNREADABLE, f"{name}: {size}not a FITS file")


def begins_hdu(head: bytes, index: int) -> bool:
    """Return whether 8 bytes begin HDU `index`; the standard allows special records after the last HDU, which are ignored."""
    return bool(head) and (index == 0 or b"XTENSION".startswith(head))


def check_headers(name: str, n_hdus: int, n_bytes: int) -> None:
    """Raise TOO_LARGE if another HDU follows the largest accepted number of HDUs or bytes of headers."""
    if n_hdus >= MAX_HDUS:
        raise Rejection(RejectCode.TOO_LARGE, f"{name}: more than {MAX_HDUS} HDUs")
    if n_bytes > MAX_HEADER_BYTES:
        raise Rejection(RejectCode.TOO_LARGE, f"{name}: more than {MAX_HEADER_BYTES} bytes of headers")


def has_end(block: bytes) -> bool:
    """Return whether one of the cards of this block is END."""
    return any(block[card : card + 80] == _END for card in range(0, len(block), 80))


def parse_header(name: str, raw: bytes, start: int, index: int) -> Hdu:
    """Return the HDU that begins at `start` with this header.

    Raises:
        Rejection: FITS_UNREADABLE.
    """
    try:
        with without_warnings():
            header = fits.Header.fromstring(raw)
            size = _data_size(header)
            data_start = start + len(raw)
            hdu = Hdu(index, header, start, data_start, size, data_start + -(-size // BLOCK) * BLOCK)
            _check_values(hdu)
    except Exception as error:  # astropy raises many types for cards that are not FITS
        raise Rejection(RejectCode.FITS_UNREADABLE, f"{name}: header of HDU {index}: {error}") from error
    return hdu


def truncated(name: str, where: str) -> Rejection:
    """Return the rejection of a file that ends too early."""
    return Rejection(RejectCode.FITS_TRUNCATED, f"{name}: {where}")


def ends_in_header(index: int, n_bytes: int) -> str:
    """Describe for `truncated` that a file of `n_bytes` ends in a header."""
    return f"the file ends in the header of HDU {index}" if index else f"{n_bytes} bytes, the file ends in its first header"


def ends_in_data(hdu: Hdu, n_bytes: int) -> str:
    """Describe for `truncated` that a file of `n_bytes` ends in the data of an HDU."""
    return f"HDU {hdu.index} should end at byte {hdu.end}, the file ends at byte {n_bytes}"


def header_without_end(name: str, index: int) -> Rejection:
    """Return the rejection of a file with more header cards than the reader accepts."""
    return Rejection(RejectCode.FITS_UNREADABLE, f"{name}: the header of HDU {index} has no END card")


def not_decompressed(label: str, error: Exception) -> Rejection:
    """Return the rejection of a compressed image with damaged tiles."""
    return Rejection(RejectCode.FITS_UNREADABLE, f"{label}: cannot be decompressed ({type(error).__name__})")


def _parse_hdu(name: str, data: bytes, start: int, index: int) -> Hdu | None:
    """Return the HDU at `start`; None if the file ends within its header."""
    data_start = _header_end(data, start)
    if data_start is not None:
        return parse_header(name, data[start:data_start], start, index)
    if len(data) - start > MAX_HEADER_BLOCKS * BLOCK:
        raise header_without_end(name, index)
    return None


def _check_values(hdu: Hdu) -> None:
    """Parse the values that later code uses, so that a malformed card fails here."""
    header = hdu.header
    _ = hdu.name, hdu.shape, hdu.is_compressed, header.get("CHECKSUM"), header.get("DATASUM")
    _ = float(header.get("BSCALE", 1)), float(header.get("BZERO", 0)), int(header.get("BLANK", 0)), int(header.get("ZTILE2", 1))
    # astropy loops over the number of fields in the header (FITS Standard 4.0, section 7.3.1: at most 999).
    if not 0 <= int(header.get("TFIELDS", 0)) <= MAX_FIELDS:
        raise ValueError(f"TFIELDS must be 0-{MAX_FIELDS}, got {header['TFIELDS']}")


def _header_end(data: bytes, start: int) -> int | None:
    for block in range(start, min(len(data) - BLOCK + 1, start + MAX_HEADER_BLOCKS * BLOCK), BLOCK):
        if has_end(data[block : block + BLOCK]):
            return block + BLOCK
    return None


def _data_size(header: fits.Header) -> int:
    bitpix = int(header["BITPIX"])
    if bitpix not in _DTYPES:
        raise ValueError(f"BITPIX must be one of {sorted(_DTYPES)}, got {bitpix}")
    axes = _axes(header, "NAXIS")
    parameters, groups = int(header.get("PCOUNT", 0)), int(header.get("GCOUNT", 1))
    if parameters < 0 or groups < 0:
        raise ValueError(f"PCOUNT and GCOUNT must be >= 0, got {parameters} and {groups}")
    return abs(bitpix) // 8 * groups * (parameters + prod(axes)) if axes else 0


def _axes(header: fits.Header, key: str) -> tuple[int, ...]:
    n_axes = int(header[key])
    if not 0 <= n_axes <= 999:
        raise ValueError(f"{key} must be 0-999, got {n_axes}")
    axes = tuple(int(header[f"{key}{i + 1}"]) for i in range(n_axes))
    if any(axis < 0 for axis in axes):
        raise ValueError(f"{key}n must be >= 0, got {axes}")
    return axes
