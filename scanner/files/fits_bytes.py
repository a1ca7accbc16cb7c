"""The bytes of a FITS file in order, from memory or as they arrive, gunzipped in bounded memory."""

import contextlib
import zlib
from collections.abc import Iterable, Iterator

from infra.store.files import PlaceError
from infra.store.storage import FileInfo, StorageError, info
from scanner.vocabulary.rejections import RejectCode, Rejection

GZIP_MAGIC = b"\x1f\x8b"
_GUNZIP_BYTES = 2**20
"""Bytes that the decompressor unpacks at a time."""
_GUNZIP_PIECE_BYTES = 2**18


class ByteSource:
    """Bytes that are read once, front to back. A file in memory is a source of one block."""

    def __init__(self, blocks: Iterator[bytes], n_bytes: int | None) -> None:
        self.n_bytes = n_bytes
        """Number of bytes; None if it is not known before the end."""
        self.position = 0
        self._blocks = blocks
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


def listed_file(name: str, uri: str, max_bytes: int, listed: FileInfo | None = None) -> FileInfo:
    """Return size and ETag of a file that is small enough to read; the store is not asked for those of a `listed` file.

    Raises:
        Rejection: TOO_LARGE.
        OSError: the file does not exist, or the store failed.
    """
    file = listed or info(uri)
    if file.size > max_bytes:
        raise Rejection(RejectCode.TOO_LARGE, f"{name}: {file.size} bytes, at most {max_bytes} are read")
    return file


@contextlib.contextmanager
def rejecting_failures(name: str, uri: str) -> Iterator[None]:
    """Turn exceptions of the storage into rejections MISSING_FILE and IO_ERROR."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise Rejection(RejectCode.MISSING_FILE, f"{name}: no such file") from error
    except PlaceError as error:
        raise Rejection(RejectCode.MISSING_FILE, f"{name}: {_reason(error, uri)}") from error
    except ValueError as error:
        # No file can have the name: it holds a null byte, for example.
        raise Rejection(RejectCode.MISSING_FILE, f"{name}: cannot be opened: {error}") from error
    except OSError as error:
        raise Rejection(RejectCode.IO_ERROR, f"{name}: {_reason(error, uri)}") from error


def gunzipped(name: str, blocks: Iterable[bytes], max_bytes: int) -> Iterator[bytes]:
    """Yield the contents of a gzip stream, at most `max_bytes`, so that a gzip bomb cannot fill the memory.

    The stream may have several members, as bgzip writes them; anything else after a member is ignored, as gzip does.

    Raises:
        Rejection: FITS_UNREADABLE, TOO_LARGE or FITS_TRUNCATED.
    """
    stream, rest, n_bytes = zlib.decompressobj(wbits=31), b"", 0
    for piece in _small_pieces(blocks):
        rest, unpacked = rest + piece, b""
        # After a full piece the decompressor may hold more output, even if it has used all input.
        while rest or len(unpacked) == _GUNZIP_BYTES:
            if stream.eof and not rest.startswith(GZIP_MAGIC):
                # Kept before the next piece: the magic bytes of a member may be in two pieces.
                rest = rest[: len(GZIP_MAGIC)]
                break
            stream = zlib.decompressobj(wbits=31) if stream.eof else stream
            try:
                unpacked = stream.decompress(rest, _GUNZIP_BYTES)
            except zlib.error as error:
                raise Rejection(RejectCode.FITS_UNREADABLE, f"{name}: damaged gzip stream") from error
            rest = stream.unconsumed_tail or stream.unused_data
            n_bytes += len(unpacked)
            if n_bytes > max_bytes:
                raise more_than(name, max_bytes)
            yield unpacked
    if not stream.eof:
        raise Rejection(RejectCode.FITS_TRUNCATED, f"{name}: the gzip stream ends early")


def more_than(name: str, max_bytes: int) -> Rejection:
    """Return the rejection of a file that unpacks to too many bytes."""
    return Rejection(RejectCode.TOO_LARGE, f"{name}: more than {max_bytes} bytes when unpacked")


def _small_pieces(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in small pieces: the decompressor copies the rest of each piece that it does not use."""
    for block in blocks:
        for start in range(0, len(block), _GUNZIP_PIECE_BYTES):
            yield block[start : start + _GUNZIP_PIECE_BYTES]


def _reason(error: OSError, uri: str) -> str:
    """Return the reason of a failure without the path: only the store's own messages, which hold no credentials, stay whole."""
    if isinstance(error, StorageError):
        return str(error).replace(uri, "").lstrip(": ")
    return error.strerror or type(error).__name__
