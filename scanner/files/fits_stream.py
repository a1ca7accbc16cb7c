"""Reads a FITS file once, front to back, for one of its HDUs: with the checks of `fits_hdus`, in little memory.

`finish` makes the checks that need the end of the file: sums, later HDUs, the end of a gzip stream.
"""

import posixpath
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from infra.store.storage import FileInfo, is_s3, local_path, read_blocks
from scanner.files.fits_bytes import GZIP_MAGIC, ByteSource, gunzipped, listed_file, rejecting_failures
from scanner.files.fits_checksums import WordSum
from scanner.files.fits_hdus import BLOCK, Hdu, HduReader
from scanner.files.fits_image import check_shape, is_image, no_extension, no_image

_LARGEST_PIXEL = 8
"""Bytes of the largest pixel type: block sizes are multiples of this, so that no block ends within a pixel."""
_MAX_COPY_IN_MEMORY = 2**24


def image_stream(
    uri: str, max_bytes: int, max_pixels: int, extension: str = "", listed: FileInfo | None = None
) -> "FitsStream":
    """Return a stream at the first pixel of an image; it can be reopened if that image is compressed.

    Args:
        uri: The file.
        max_bytes: Largest accepted size of the file.
        max_pixels: Largest accepted number of pixels.
        extension: Name or number of the image's HDU; the first 2-D image by default.
        listed: The file as a listing showed it; only this version is read.

    Raises:
        Rejection: MISSING_FILE, IO_ERROR, TOO_LARGE, WRONG_SHAPE, MISSING_EXTENSION, FITS_UNREADABLE or FITS_TRUNCATED.
    """
    none = partial(no_extension, extension=extension) if extension else no_image
    stream = FitsStream(uri, max_bytes, lambda hdu: is_image(hdu, extension), none, listed)
    try:
        check_shape(stream.hdu, max_pixels)
    except BaseException:
        stream.close()
        raise
    if not stream.hdu.is_compressed:
        stream.forget_copy()
    return stream


class FitsStream:
    """A FITS file positioned in or after the data of one HDU. Close it when done."""

    def __init__(
        self,
        uri: str,
        max_bytes: int,
        wanted: Callable[[Hdu], bool],
        none: Callable[[str, Sequence[Hdu]], Exception],
        listed: FileInfo | None = None,
    ) -> None:
        """Read up to the data of the first HDU that is `wanted`.

        `listed` is the file as a listing showed it. Only this version is read, and the store is not asked for its size.

        Raises:
            Rejection: MISSING_FILE, IO_ERROR, TOO_LARGE, FITS_UNREADABLE or FITS_TRUNCATED.
            Exception: the result of `none(file name, HDUs)`, if no HDU is wanted.
        """
        name = posixpath.basename(uri)
        self._file = _FileBytes(name, uri, max_bytes, listed)
        self._reader = HduReader(name, self._file, max_bytes)
        self._data_sum = WordSum()
        try:
            hdu = next(filter(wanted, iter(self._reader.next_hdu, None)), None)
        except BaseException:
            self.close()
            raise
        if hdu is None:
            self.close()
            raise none(name, self._reader.hdus)
        self.hdu = hdu
        self._has_sums = hdu.has_sums

    def forget_copy(self) -> None:
        """Delete the copy of the file: the caller will not reopen it."""
        self._file.forget_copy()

    def pieces(self, n_bytes: int) -> Iterator[memoryview]:
        """Yield the next `n_bytes` of the HDU, in pieces of whole pixels.

        Raises:
            Rejection: FITS_TRUNCATED, or the file cannot be read.
        """
        for piece in self._reader.data(n_bytes):
            if self._has_sums:
                self._data_sum.add(piece)
            yield piece

    def read_floats(self, out: NDArray[np.float32]) -> None:
        """Read the next pixels of an image of float32, as many as fill the 1-D `out`.

        Raises:
            Rejection: FITS_TRUNCATED, or the file cannot be read.
        """
        at = 0
        for piece in self._reader.data(out.nbytes):
            part = out[at : at + len(piece) // out.itemsize]
            at += len(part)
            self._data_sum.add_floats(piece, part)

    def finish(self) -> None:
        """Read the rest of the file. If this raises, discard everything that was read from the file.

        Raises:
            Rejection: FITS_UNREADABLE, FITS_TRUNCATED, or the file cannot be read.
        """
        for _ in self.pieces(self.hdu.end - self._file.position):
            pass
        if self._has_sums:
            self.hdu.check_sums(self._data_sum.value)
        while self._reader.next_hdu() is not None:
            pass
        while self._file.take(BLOCK):
            pass

    def reopened(self) -> BinaryIO:
        """Return the whole file from its start, gunzipped; only for a compressed image, and only after `finish`."""
        return self._file.reopened()

    def close(self) -> None:
        self._file.close()


class _FileBytes(ByteSource):
    """The bytes of a file, gunzipped if needed. A file that can be read only once is copied until `forget_copy`."""

    def __init__(self, name: str, uri: str, max_bytes: int, listed: FileInfo | None) -> None:
        with rejecting_failures(name, uri):
            file = listed_file(name, uri, max_bytes, listed)
        stored = _rejecting(name, uri, read_blocks(file))
        first = next(stored, b"")
        is_packed = first.startswith(GZIP_MAGIC)
        self._path = None if is_packed or is_s3(uri) else local_path(uri)
        self._copy = None if self._path else tempfile.SpooledTemporaryFile(_MAX_COPY_IN_MEMORY)  # noqa: SIM115 - see close
        whole = chain([first], stored)
        self._pixel_blocks = self._whole_pixels(gunzipped(name, whole, max_bytes) if is_packed else whole)
        super().__init__(self._pixel_blocks, None if is_packed else file.size)

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
        self._pixel_blocks.close()
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


def _rejecting(name: str, uri: str, blocks: Iterator[bytes]) -> Iterator[bytes]:
    with rejecting_failures(name, uri):
        yield from blocks
