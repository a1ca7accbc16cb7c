"""Messages between two processes over a pipe: parts of known length. No pickle, so that a message cannot run code."""

import struct
from typing import IO

READY = b"ready"
"""First message of the worker: a crash before it is a failed start, a crash after it is due to a request."""

_LENGTH = struct.Struct("<Q")


def write_message(stream: IO[bytes], *parts: bytes) -> None:
    """Write some parts and flush the stream."""
    for part in parts:
        stream.write(_LENGTH.pack(len(part)))
        stream.write(part)
    stream.flush()


def read_message(stream: IO[bytes], n_parts: int, max_bytes: int) -> list[bytes]:
    """Return the next `n_parts` parts, of at most `max_bytes` each.

    Raises:
        EOFError: the peer closed the pipe or announced a part larger than `max_bytes`.
    """
    return [_read_part(stream, max_bytes) for _ in range(n_parts)]


def _read_part(stream: IO[bytes], max_bytes: int) -> bytes:
    (n_bytes,) = _LENGTH.unpack(_read(stream, _LENGTH.size))
    if n_bytes > max_bytes:
        raise EOFError(f"a part must have at most {max_bytes} bytes, got {n_bytes}")
    return _read(stream, n_bytes)


def _read(stream: IO[bytes], n_bytes: int) -> bytes:
    data = stream.read(n_bytes)
    if len(data) < n_bytes:
        raise EOFError(f"the stream ended after {len(data)} of {n_bytes} bytes")
    return data
