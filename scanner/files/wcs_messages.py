"""What two processes say to each other over a pipe: parts of known length. No pickle, so a message can do nothing."""

import struct
from typing import IO

READY = b"ready"
"""What a process says first that answers requests: from then on, what it dies of is a request."""

_LENGTH = struct.Struct("<Q")


def write_message(stream: IO[bytes], *parts: bytes) -> None:
    """Send some parts."""
    for part in parts:
        stream.write(_LENGTH.pack(len(part)))
        stream.write(part)
    stream.flush()


def read_message(stream: IO[bytes], n_parts: int, max_bytes: int) -> list[bytes]:
    """The next `n_parts` parts, of at most `max_bytes` each.

    Raises:
        EOFError: the other side is gone, or out of its mind.
    """
    return [_read_part(stream, max_bytes) for _ in range(n_parts)]


def _read_part(stream: IO[bytes], max_bytes: int) -> bytes:
    (n_bytes,) = _LENGTH.unpack(_read(stream, _LENGTH.size))
    if n_bytes > max_bytes:
        raise EOFError(f"a part of {n_bytes} bytes, at most {max_bytes} are read")
    return _read(stream, n_bytes)


def _read(stream: IO[bytes], n_bytes: int) -> bytes:
    data = stream.read(n_bytes)
    if len(data) < n_bytes:
        raise EOFError(f"{len(data)} of {n_bytes} bytes")
    return data
