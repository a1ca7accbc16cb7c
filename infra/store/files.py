"""File details, outcomes of a creation, and the error of a store that fails."""

import re
from dataclasses import dataclass
from enum import StrEnum

from infra.errors import LensscanError

_URL_USER = re.compile(r"(?<=://)(?:[^\s/@]*:\S*|[^/\s]*)@|(?<![^\s'\"])[^\s'\"]+@(?=\w+://)")
"""User and password of a URL. A secret may hold slashes, so this rather removes too much, such as a port and an @ in a path."""


class StorageError(LensscanError, OSError):
    """The store failed, gave fewer bytes than asked, or cannot do what the catalogue needs."""


class CreateOutcome(StrEnum):
    """The outcome of `create_if_absent`; in every case the name exists afterwards."""

    CREATED = "created"
    ALREADY_MINE = "already_mine"
    """The object holds exactly these bytes: an earlier try of ours created it, or another writer's equal one."""
    EXISTS = "exists"
    """The object holds other bytes; it was left alone."""


@dataclass(frozen=True)
class FileInfo:
    """A file as a listing shows it. `etag` changes with the content: the store's ETag, or a local file's time and size."""

    uri: str
    size: int
    etag: str


def whose(found: bytes, mine: bytes) -> CreateOutcome:
    """Decide by its bytes whether an object that already exists is ours."""
    return CreateOutcome.ALREADY_MINE if found == mine else CreateOutcome.EXISTS


def changed(uri: str, etag: str) -> StorageError:
    """Return the error for a file that changed while it was read."""
    return StorageError(f"{uri}: changed while it was read (its etag is no longer {etag})")


def one_line(text: object) -> str:
    """Return the text without line breaks, and without the user and password that a URL may hold."""
    return _URL_USER.sub("", " ".join(str(text).split())) or type(text).__name__
