"""Reads mosaics once, front to back, and keeps only the rows that stamps still need."""

from collections.abc import Iterator
from typing import BinaryIO, Protocol

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from infra.quiet import without_warnings
from infra.store.storage import FileInfo
from scanner.files.fits_compression import compressed_image, not_decompressed
from scanner.files.fits_image import header_pixel_scale_arcsec
from scanner.files.fits_stream import FitsStream, image_stream
from scanner.files.stored_scale import StoredScale
from scanner.vocabulary.band_image import BandImage
from scanner.vocabulary.rejections import RejectCode, Rejection

BAND_BYTES = 2**24
"""Size of the rows that are read at a time, in bytes of float32."""
MAX_KEPT_PIXELS = 2**26
"""Largest number of pixels of a mosaic in memory: 3500 rows of a MER mosaic; a stamp needs 200 of them."""


class RowSource(Protocol):
    """A reader of the rows of an image, in order."""

    def read(self, out: NDArray[np.float32]) -> None:
        """Read the next rows into `out`, `[y, x]`."""

    def skip(self, n_rows: int) -> None:
        """Skip the next rows."""

    def finish(self) -> None:
        """Read the rest of the file; raise Rejection if the rest or the rows read before are damaged."""

    def close(self) -> None: ...


class Mosaic:
    """A mosaic that is read once, front to back, as far as its windows need it.

    The reader may detect damage only at the end of the mosaic; the rows that it returned before are then invalid.
    """

    def __init__(
        self,
        uri: str,
        max_bytes: int,
        max_pixels: int,
        extension: str = "",
        pixel_scale_arcsec: float | None = None,
        listed: FileInfo | None = None,
    ) -> None:
        """Read the header; close the mosaic when done.

        Args:
            uri: The file.
            max_bytes: Largest accepted size of the file.
            max_pixels: Largest accepted number of pixels.
            extension: Name or number of the image's HDU; the first 2-D image by default.
            pixel_scale_arcsec: Pixel scale that replaces the one in the header.
            listed: The file as a listing showed it; only this version is read.

        Raises:
            Rejection: the file is missing, cannot be read, has no such 2-D image or no pixel scale, or ends early.
        """
        stream = image_stream(uri, max_bytes, max_pixels, extension, listed)
        try:
            self.label = stream.hdu.label
            self.header = stream.hdu.header
            self.shape: tuple[int, int] = stream.hdu.shape  # type: ignore[assignment]
            self.pixel_scale_arcsec = pixel_scale_arcsec or header_pixel_scale_arcsec(self.header, self.label)
            self._source: RowSource = _CompressedRows(stream) if stream.hdu.is_compressed else _StoredRows(stream)
        except BaseException:
            stream.close()
            raise
        self.rows = np.empty((0, self.shape[1]), np.float32)
        """Rows in memory, `[capacity, x]`: row `y` of the mosaic is at `y % capacity`, for `start <= y < stop`."""
        self.start = self.stop = 0

    def reserve(self, n_rows: int) -> None:
        """Allocate memory for windows of `n_rows`, and for the rows that are read at a time.

        Raises:
            Rejection: TOO_LARGE.
        """
        n_band = max(1, BAND_BYTES // (4 * self.shape[1]))
        self._grow(min(n_rows + n_band, self.shape[0]))

    def keep(self, low: int, high: int) -> None:
        """Read on until the rows from `low` to `high` are in memory; rows before `low` may be overwritten.

        Raises:
            Rejection: the file ends early, cannot be read or decompressed, or too many rows would be in memory.
        """
        if high <= self.stop:
            return
        if low >= self.stop:
            self._source.skip(low - self.stop)
            self.stop = low
        self.start = max(self.start, low)
        if high - self.start > len(self.rows):
            self._grow(min(max(high - self.start, 2 * len(self.rows)), self.shape[0]))
        for first, last in _contiguous(self.stop, min(self.start + len(self.rows), self.shape[0]), len(self.rows)):
            self._source.read(self.rows[first % len(self.rows) :][: last - first])
            self.stop = last

    def window(self, y: int, x: int, n: int) -> BandImage:
        """Return `n` by `n` pixels from row `y` and column `x` on, also beyond the mosaic; its rows must be in memory."""
        ny, nx = self.shape
        rows, columns = slice(max(y, 0), min(y + n, ny)), slice(max(x, 0), min(x + n, nx))
        if rows.start < self.start or rows.stop > self.stop:
            raise IndexError(
                f"{self.label}: rows {rows.start}-{rows.stop} must lie within {self.start}-{self.stop}, the rows in memory"
            )
        seen = self.rows[np.arange(rows.start, rows.stop) % len(self.rows), columns]
        if seen.shape == (n, n):
            return BandImage(seen, self.pixel_scale_arcsec)
        here = slice(rows.start - y, rows.stop - y), slice(columns.start - x, columns.stop - x)
        pixels = np.zeros((n, n), np.float32)
        outside = np.ones((n, n), dtype=bool)
        pixels[here], outside[here] = seen, False
        return BandImage(pixels, self.pixel_scale_arcsec, outside)

    def read_through(self) -> None:
        """Read every row once, and keep none.

        Raises:
            Rejection: as `keep` and `finish`.
        """
        self.reserve(1)
        for low in range(0, self.shape[0], len(self.rows)):
            self.keep(low, min(low + len(self.rows), self.shape[0]))
        self.finish()

    def finish(self) -> None:
        """Read the rest of the file.

        Raises:
            Rejection: the file is damaged, so that all rows read before are invalid.
        """
        self._source.finish()

    def close(self) -> None:
        self._source.close()

    def _grow(self, capacity: int) -> None:
        if capacity <= len(self.rows):
            return
        check_kept(self.label, capacity, self.shape[1])
        rows = np.empty((capacity, self.shape[1]), np.float32)
        kept = np.arange(self.start, self.stop)
        if len(kept):
            rows[kept % capacity] = self.rows[kept % len(self.rows)]
        self.rows = rows


def check_kept(label: str, n_rows: int, n_columns: int) -> None:
    """Raise TOO_LARGE if so many rows exceed the memory limit."""
    if n_rows * n_columns > MAX_KEPT_PIXELS:
        what = f"{n_rows} rows of {n_columns} pixels are needed in memory, at most {MAX_KEPT_PIXELS} pixels are allowed"
        raise Rejection(RejectCode.TOO_LARGE, f"{label}: {what}")


def _contiguous(start: int, stop: int, capacity: int) -> Iterator[tuple[int, int]]:
    """Yield the rows from `start` to `stop` in runs that are contiguous in a ring buffer of `capacity` rows."""
    while start < stop:
        last = min(stop, start - start % capacity + capacity)
        yield start, last
        start = last


class _StoredRows:
    """Rows of an image that is stored without compression."""

    def __init__(self, stream: FitsStream) -> None:
        self._stream = stream
        self._dtype, self._scale = stream.hdu.dtype, StoredScale.of(stream.hdu.header)
        self._row_bytes = stream.hdu.shape[1] * self._dtype.itemsize

    def read(self, out: NDArray[np.float32]) -> None:
        if self._dtype == ">f4" and self._scale.is_plain:
            self._stream.read_floats(out.reshape(-1))
        else:
            self._read_scaled(out.reshape(-1))

    def _read_scaled(self, flat: NDArray[np.float32]) -> None:
        at = 0
        # Values that overflow float32 become infinite; a later check counts them as not finite.
        with np.errstate(over="ignore", invalid="ignore"):
            for piece in self._stream.pieces(len(flat) * self._dtype.itemsize):
                part = flat[at : at + len(piece) // self._dtype.itemsize]
                at += len(part)
                self._scale.write(np.frombuffer(piece, self._dtype), part)

    def skip(self, n_rows: int) -> None:
        for _ in self._stream.pieces(n_rows * self._row_bytes):
            pass

    def finish(self) -> None:
        self._stream.finish()

    def close(self) -> None:
        self._stream.close()


class _CompressedRows:
    """Rows of a tile-compressed image, a few rows of tiles at a time.

    The reader checks the whole file before it unpacks the first pixel, then reads it again from the local disk: from an
    unnamed copy if the file lies in a store or is gzipped. It unpacks at most `BAND_BYTES` at a time, or one row of tiles if
    that is more.
    """

    def __init__(self, stream: FitsStream) -> None:
        self._ny, nx = stream.hdu.shape
        height = int(stream.hdu.header.get("ZTILE2", 1))
        self._step = height * max(1, BAND_BYTES // (4 * nx * height)) if height > 0 else self._ny
        check_kept(stream.hdu.label, min(self._step, self._ny), nx)
        stream.finish()
        self._stream = stream
        self._next, self._start = 0, 0
        self._unpacked = np.empty((0, nx), np.float32)
        self._file: BinaryIO | None = None
        self._opened: fits.HDUList | None = None

    def read(self, out: NDArray[np.float32]) -> None:
        at = 0
        while at < len(out):
            if not self._start <= self._next < self._start + len(self._unpacked):
                self._unpack(self._next // self._step * self._step)
            rows = self._unpacked[self._next - self._start :][: len(out) - at]
            out[at : at + len(rows)] = rows
            at += len(rows)
            self._next += len(rows)

    def skip(self, n_rows: int) -> None:
        self._next += n_rows

    def finish(self) -> None:
        """Do nothing: the constructor has read and checked the whole file."""

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()
        if self._file is not None:
            self._file.close()
        self._stream.close()

    def _unpack(self, start: int) -> None:
        self._unpacked = self._unpacked[:0]
        try:
            with without_warnings(), np.errstate(over="ignore", invalid="ignore"):
                if self._opened is None:
                    self._file = self._stream.reopened()
                    self._opened = fits.open(self._file, memmap=False)
                image = compressed_image(self._opened, self._stream.hdu.index, self._stream.hdu.shape)
                stop = min(start + self._step, self._ny)
                self._unpacked = np.asarray(image.section[start:stop], dtype=np.float32).reshape(
                    stop - start, self._unpacked.shape[1]
                )
        except Exception as error:  # decoders raise many types for damaged streams
            raise not_decompressed(self._stream.hdu.label, error) from error
        self._start = start
