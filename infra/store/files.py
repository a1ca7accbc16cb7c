"""File details, outcomes of a creation, the error of a store that fails, and local files that are replaced whole."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from secrets import token_hex

from infra.errors import LensscanError

_URL_USER = re.compile(r"(?<=://)(?:[^\s/@]*:\S*|[^/\s]*)@|(?<![^\s'\"])[^\s'\"]+@(?=\w+://)")
"""User and password of a URL. A secret may hold slashes, so this rather removes too much, such as a port and an @ in a path."""


class StorageError(LensscanError, OSError):
    """The store failed, gave fewer bytes than asked, or cannot do what the catalogue needs."""

    is_infrastructure = True


class PlaceError(StorageError):
    """A URI is no place for files, or the store there cannot do what the catalogue needs: another try does not mend that."""

    is_infrastructure = False


class StoreRefusedError(StorageError):
    """The store takes no files until a person acts: a full disk, a place that is only read, credentials that have expired."""

    is_infrastructure = False
    remedy = ""
    """What the person has to do."""


REFUSALS = {
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room",
    errno.EROFS: "make it writable",
    errno.EACCES: "make it writable",
    errno.EPERM: "make it writable",
}
"""What to do about errors of a file system that another try does not mend."""


class CreateOutcome(StrEnum):
    """The outcome of `create_if_absent`; in every case the name exists afterwards."""

    CREATED = "created"
    ALREADY_MINE = "already_mine"
    """The object holds exactly these bytes: an earlier try of ours created it, or another writer's equal one."""
    EXISTS = "exists"
    """The object holds other bytes; it was left alone."""


@dataclass(frozen=True)
class FileInfo:
    """A file as a listing shows it. `etag` changes with the content: the store's ETag, or a local file's times and size."""

    uri: str
    size: int
    etag: str
    modified: datetime | None = field(default=None, compare=False)
    """Time of the last change by the store's clock, if it was asked for: for people, not for decisions."""


def whose(found: bytes, mine: bytes) -> CreateOutcome:
    """Decide by its bytes whether an object that already exists is ours."""
    return CreateOutcome.ALREADY_MINE if found == mine else CreateOutcome.EXISTS


def changed(uri: str, etag: str) -> StorageError:
    """Return the error for a file that changed while it was read."""
    return StorageError(f"{uri}: changed while it was read (its etag is no longer {etag})")


def refused(message: str, remedy: str | None) -> StorageError:
    """Return the error of a store that takes no files until a person follows `remedy`; None for a failure that may pass."""
    if remedy is None:
        return StorageError(message)
    error = StoreRefusedError(message)
    error.remedy = remedy
    return error


def cannot_write(uri: str, error: OSError, verb: str = "written") -> StorageError:
    """Return the error for a local file that cannot be written, or in other words `verb`."""
    return refused(f"{uri}: cannot be {verb}: {error.strerror or one_line(error)}", REFUSALS.get(error.errno or 0))


@contextmanager
def replace_whole(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; at the end of the block, that file replaces the one at `path`.

    A reader sees the old file or the new one, whole; of several writers at a time, the last one's. If the block fails, the old
    file stays and the new one is removed; a killed writer may leave a `*.part` behind.

    Raises:
        OSError: the file cannot be written; the error names `path`.
    """
    part = _part(path)
    try:
        with _naming(path, part):
            yield part
            part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


def check_replaceable(path: Path) -> None:
    """Check that `replace_whole` can write to `path`; call this before long work.

    No folder is made: a folder that is not there is a slip of the pen.

    Raises:
        OSError: there is no such folder, or it cannot be written to; the error names `path`.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, f"there is no folder {path.parent}", str(path))
    part = _part(path)
    with _naming(path, part):
        part.write_bytes(b"")
        part.unlink()


@contextmanager
def _naming(path: Path, part: Path) -> Iterator[None]:
    """Let the system's errors about the part of a file, or about its folder, name the file itself."""
    try:
        yield
    except OSError as error:
        places = {str(part), *map(str, path.parents)}
        # Arrow names no file, nor does Python where a disk is full.
        if error.errno is None or (error.filename is not None and str(error.filename) not in places):
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error


def _part(path: Path) -> Path:
    """Return a name beside `path` that no other writer has: one that shared it would cut off what another moves into place."""
    return path.with_name(f"{path.name}.{os.getpid()}-{token_hex(4)}.part")


def one_line(text: object) -> str:
    """Return the text without line breaks, and without the user and password that a URL may hold."""
    return _URL_USER.sub("", " ".join(str(text).split())) or type(text).__name__
