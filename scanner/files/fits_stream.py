"""Reads a FITS file once, front to back, for one of its HDUs: with the checks of `fits_hdus`, in little memory.

`finish` makes the checks that need the end of the file: sums, later HDUs, the end of a gzip stream.
"""

import posixpath
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import chain
from typing import BinaryIO, cast

from infra.store.storage import is_s3, local_path, read_blocks
from scanner.files.byte_order import WordSum
from scanner.files.fits_checksums import check_sums
from scanner.files.fits_hdus import (
    BLOCK,
    MAX_HEADER_BLOCKS,
    Hdu,
    begins_hdu,
    check_begins_fits,
    check_headers,
    ends_in_data,
    ends_in_header,
    has_end,
    header_without_end,
    label,
    parse_header,
    truncated,
)
from scanner.files.fits_image import GZIP_MAGIC, check_shape, gunzipped, listed_file, no_image, rejecting_failures
from scanner.vocabulary.rejections import RejectCode, Rejection

_LARGEST_PIXEL = 8
"""Bytes of the largest pixel type: block sizes are multiples of this, so that no block ends within a pixel."""
_MAX_COPY_IN_MEMORY = 2**24


def image_stream(uri: str, max_bytes: int, max_pixels: int) -> "FitsStream":
    """Return a stream at the first pixel of the file's first 2-D image; it can be reopened if that image is compressed.

    Raises:
        Rejection: MISSING_FILE, IO_ERROR, TOO_LARGE, WRONG_SHAPE, FITS_UNREADABLE or FITS_TRUNCATED.
    """
    stream = FitsStream(uri, max_bytes, lambda hdu: len(hdu.shape) == 2, no_image)
    try:
        check_shape(stream.label, stream.hdu, max_pixels)
    except BaseException:
        stream.close()
        raise
    if not stream.hdu.is_compressed:
        stream.forget_copy()
    return stream


class FitsStream:
    """A FITS file positioned in or after the data of one HDU. Close it when done."""

    def __init__(
        self, uri: str, max_bytes: int, wanted: Callable[[Hdu], bool], none: Callable[[str, Sequence[Hdu]], Exception]
    ) -> None:
        """Read up to the data of the first HDU that is `wanted`.

        Raises:
            Rejection: MISSING_FILE, IO_ERROR, TOO_LARGE, FITS_UNREADABLE or FITS_TRUNCATED.
            Exception: the result of `none(file name, HDUs)`, if no HDU is wanted.
        """
        self.name = posixpath.basename(uri)
        self._hdus: list[Hdu] = []
        self._header_bytes = 0
        self._max_bytes = max_bytes
        self._data_sum = WordSum()
        self._file = _FileBytes(self.name, uri, max_bytes)
        try:
            self.hdu, self._header_sum = self._find(wanted, none)
        except BaseException:
            self.close()
            raise
        self._has_sums = self.hdu.has_sums

    @property
    def label(self) -> str:
        return label(self.name, self.hdu)

    def forget_copy(self) -> None:
        """Delete the copy of the file: the caller will not reopen it."""
        self._file.forget_copy()

    def pieces(self, n_bytes: int) -> Iterator[memoryview]:
        """Yield the next `n_bytes` of the HDU, in pieces of whole pixels.

        Raises:
            Rejection: FITS_TRUNCATED, or the file cannot be read.
        """
        for piece in self._data(self.hdu, n_bytes):
            if len(piece) % self.hdu.dtype.itemsize:
                raise truncated(self.name, ends_in_data(self.hdu, self._file.position))
            if self._has_sums:
                self._data_sum.add(piece)
            yield piece

    def finish(self) -> None:
        """Read the rest of the file. If this raises, discard everything that was read from the file.

        Raises:
            Rejection: FITS_UNREADABLE, FITS_TRUNCATED, or the file cannot be read.
        """
        for _ in self.pieces(self.hdu.end - self._file.position):
            pass
        if self._has_sums:
            check_sums(self.label, self.hdu.header, self._header_sum, self._data_sum.value)
        while (hdu := self._next_hdu()) is not None:
            self._skip(hdu[0])
        while self._file.take(BLOCK):
            pass

    def reopened(self) -> BinaryIO:
        """Return the whole file from its start, gunzipped; only for a compressed image, and only after `finish`."""
        return self._file.reopened()

    def close(self) -> None:
        self._file.close()

    def _find(self, wanted: Callable[[Hdu], bool], none: Callable[[str, Sequence[Hdu]], Exception]) -> tuple[Hdu, int]:
        """Return the first HDU that is wanted, and the sum of its header."""
        while (found := self._next_hdu()) is not None:
            if wanted(found[0]):
                return found
            self._skip(found[0])
        raise none(self.name, self._hdus)

    def _next_hdu(self) -> tuple[Hdu, int] | None:
        """Return the HDU that begins here and the sum of its header; None after the last HDU."""
        start, index = self._file.position, len(self._hdus)
        raw = self._file.read(BLOCK)
        if index == 0:
            check_begins_fits(self.name, raw, self._file.size)
        if not begins_hdu(raw[:8], index):
            return None
        check_headers(self.name, index, self._header_bytes)
        # Search only the last block for END: headers may have a thousand blocks.
        blocks = [raw]
        while not (len(blocks[-1]) == BLOCK and has_end(blocks[-1])):
            if len(blocks[-1]) < BLOCK:
                raise truncated(self.name, ends_in_header(index, self._file.position))
            if len(blocks) > MAX_HEADER_BLOCKS:
                raise header_without_end(self.name, index)
            blocks.append(self._file.read(BLOCK))
        raw = b"".join(blocks)
        hdu = parse_header(self.name, raw, start, index)
        self._hdus.append(hdu)
        self._header_bytes += len(raw)
        if self._file.size is not None and hdu.end > self._file.size:
            raise truncated(self.name, ends_in_data(hdu, self._file.size))
        if hdu.end > self._max_bytes:
            raise Rejection(RejectCode.TOO_LARGE, f"{self.name}: more than {self._max_bytes} bytes when unpacked")
        header_sum = WordSum()
        header_sum.add(raw)
        return hdu, header_sum.value

    def _skip(self, hdu: Hdu) -> None:
        for _ in self._data(hdu, hdu.end - hdu.data_start):
            pass

    def _data(self, hdu: Hdu, n_bytes: int) -> Iterator[memoryview]:
        stop = self._file.position + n_bytes
        yield from self._file.pieces(n_bytes)
        if self._file.position < stop:
            raise truncated(self.name, ends_in_data(hdu, self._file.position))


class _FileBytes:
    """The bytes of a file in order, gunzipped if needed. A file that can be read only once is copied until `forget_copy`."""

    def __init__(self, name: str, uri: str, max_bytes: int) -> None:
        with rejecting_failures(name, uri):
            file = listed_file(name, uri, max_bytes)
        blocks = _named(name, uri, read_blocks(file))
        first = next(blocks, b"")
        is_packed = first.startswith(GZIP_MAGIC)
        self.position = 0
        self.size = None if is_packed else file.size
        """Size in bytes; None if it is not known before the end."""
        self._path = None if is_packed or is_s3(uri) else local_path(uri)
        self._copy = None if self._path else tempfile.SpooledTemporaryFile(_MAX_COPY_IN_MEMORY)  # noqa: SIM115 - see close
        whole = chain([first], blocks)
        self._blocks = self._whole_pixels(gunzipped(name, whole, max_bytes) if is_packed else whole)
        self._rest = memoryview(b"")

    def take(self, n_bytes: int) -> memoryview:
        """Return as many of the next `n_bytes` as are contiguous in memory; empty only at the end of the file."""
        while not self._rest:
            block = next(self._blocks, None)
            if block is None:
                return self._rest
            self._rest = memoryview(block)
        taken, self._rest = self._rest[:n_bytes], self._rest[n_bytes:]
        self.position += len(taken)
        return taken

    def pieces(self, n_bytes: int) -> Iterator[memoryview]:
        """Yield the next `n_bytes` without copying them; fewer only at the end of the file."""
        while n_bytes > 0 and (piece := self.take(n_bytes)):
            n_bytes -= len(piece)
            yield piece

    def read(self, n_bytes: int) -> bytes:
        """Return the next `n_bytes`; fewer only at the end of the file."""
        return b"".join(self.pieces(n_bytes))

    def forget_copy(self) -> None:
        if self._copy is not None:
            self._copy.close()
            self._copy = None

    def reopened(self) -> BinaryIO:
        if self._path is not None:
            return self._path.open("rb")
        if self._copy is None:
            raise ValueError("no copy was kept")
        self._copy.seek(0)
        return cast("BinaryIO", self._copy)

    def close(self) -> None:
        self._blocks.close()
        self.forget_copy()

    def _whole_pixels(self, blocks: Iterator[bytes]) -> Generator[bytes, None, None]:
        """Yield the same bytes in blocks that end with a whole pixel; only the last block may not."""
        rest = b""
        for block in blocks:
            if self._copy is not None:
                self._copy.write(block)
            joined = rest + block if rest else block
            n_whole = len(joined) // _LARGEST_PIXEL * _LARGEST_PIXEL
            rest = joined[n_whole:]
            if n_whole:
                yield joined if not rest else joined[:n_whole]
        if rest:
            yield rest


def _named(name: str, uri: str, blocks: Iterator[bytes]) -> Iterator[bytes]:
    with rejecting_failures(name, uri):
        yield from blocks
