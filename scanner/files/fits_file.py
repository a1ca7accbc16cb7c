"""A FITS file in memory: its HDUs, their sums and their pixels."""

import io
import posixpath
from dataclasses import dataclass
from math import prod

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from infra.quiet import without_warnings
from infra.store.storage import read_bytes
from scanner.files.fits_bytes import GZIP_MAGIC, ByteSource, gunzipped, listed_file, rejecting_failures
from scanner.files.fits_checksums import word_sum
from scanner.files.fits_compression import compressed_image, not_decompressed
from scanner.files.fits_hdus import Hdu, HduReader
from scanner.files.stored_scale import StoredScale
from scanner.vocabulary.geometry import Image
from scanner.vocabulary.rejections import RejectCode, Rejection


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
        reader = HduReader(name, ByteSource(iter([data]), len(data)), len(data))
        truncation = ""
        try:
            while reader.next_hdu() is not None:
                pass
        except Rejection as rejection:
            if rejection.code is not RejectCode.FITS_TRUNCATED or not reader.hdus:
                raise
            truncation = rejection.detail
        return cls(name, data, tuple(reader.hdus), truncation)

    def check_whole(self) -> None:
        """Raise FITS_TRUNCATED if any HDU is cut short: the reader uses no pixel of a damaged file."""
        if self.truncation:
            raise Rejection(RejectCode.FITS_TRUNCATED, self.truncation)

    def check_sums(self, hdu: Hdu) -> None:
        """Raise FITS_UNREADABLE if CHECKSUM or DATASUM is present and does not match."""
        if hdu.has_sums:
            hdu.check_sums(word_sum(memoryview(self.data)[hdu.data_start : hdu.end]))

    def pixels(self, hdu: Hdu) -> Image:
        """Return `[y, x]` as native float32 with BSCALE, BZERO and BLANK applied.

        Raises:
            Rejection: FITS_UNREADABLE, the compressed data cannot be decoded.
        """
        # Values that overflow float32 become infinite; a later check counts them as not finite.
        with np.errstate(over="ignore", invalid="ignore"):
            if hdu.is_compressed:
                return self._decompressed(hdu).astype(np.float32)
            stored = np.frombuffer(self.data, hdu.dtype, prod(hdu.shape), hdu.data_start)
            pixels = np.empty(hdu.shape, np.float32)
            StoredScale.of(hdu.header).write(stored.reshape(hdu.shape), pixels)
            return pixels

    def _decompressed(self, hdu: Hdu) -> NDArray:
        try:
            with without_warnings(), fits.open(io.BytesIO(self.data), memmap=False) as opened:
                return np.array(compressed_image(opened, hdu.index, hdu.shape).data).reshape(hdu.shape)
        except Exception as error:  # decoders raise many types for damaged streams
            raise not_decompressed(hdu.label, error) from error


def open_fits(uri: str, max_bytes: int) -> FitsFile:
    """Return the whole file, gunzipped if needed, with its headers parsed.

    Raises:
        Rejection: MISSING_FILE, IO_ERROR, TOO_LARGE, FITS_UNREADABLE or FITS_TRUNCATED.
    """
    name = posixpath.basename(uri)
    with rejecting_failures(name, uri):
        listed_file(name, uri, max_bytes)
        data = read_bytes(uri)
    if data.startswith(GZIP_MAGIC):
        data = b"".join(gunzipped(name, [data], max_bytes))
    return FitsFile.parse(name, data)
