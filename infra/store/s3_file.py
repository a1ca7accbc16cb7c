"""Read an S3 object as a seekable file; all bytes are of one version."""

import io
from typing import Any, BinaryIO, cast

from infra.store.files import FileInfo
from infra.store.s3 import read_range

BLOCK_BYTES = 2**20
"""Smallest number of bytes read at a time; with a larger one, a small cutout is slow to read."""


def open_object(file: FileInfo) -> BinaryIO:
    """Open the version of an object in `file` to read; a read raises StorageError if the object was replaced meanwhile."""
    return cast("BinaryIO", io.BufferedReader(_Object(file), BLOCK_BYTES))


class _Object(io.RawIOBase):
    def __init__(self, file: FileInfo) -> None:
        self._file, self._position = file, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._file.size}[whence]
        if start + offset < 0:
            raise ValueError(f"{self._file.uri}: cannot seek to {start + offset}")
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readall(self) -> bytes:
        # Python's own implementation reads a few kilobytes at a time.
        return self._next(self._file.size)

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        data = self._next(len(view))
        view[: len(data)] = data
        return len(data)

    def _next(self, n_bytes: int) -> bytes:
        length = max(min(n_bytes, self._file.size - self._position), 0)
        data = read_range(self._file.uri, self._position, length, self._file.etag)
        self._position += length
        return data
