"""What storage says of a file and of a creation, and the one error of a store that fails."""

import re
from dataclasses import dataclass
from enum import StrEnum

from infra.errors import LensscanError

_URL_USER = re.compile(r"(?<=://)(?:[^\s/@]*:\S*|[^/\s]*)@|(?<![^\s'\"])[^\s'\"]+@(?=\w+://)")
"""A secret may hold slashes. Rather too much goes, as of a port and an @ in a path, than half a secret stays."""


class StorageError(LensscanError, OSError):
    """The store failed, gave fewer bytes than asked, or cannot do what the catalogue needs."""


class CreateOutcome(StrEnum):
    """How `create_if_absent` ended; in every case the name exists now."""

    CREATED = "created"
    ALREADY_MINE = "already_mine"
    """The object holds exactly these bytes: an earlier try of ours won, or an equal one did."""
    EXISTS = "exists"
    """The object holds other bytes; it was left alone."""


@dataclass(frozen=True)
class FileInfo:
    """A file as a listing shows it. `etag` changes when the content does: the store's, or a local file's time and size."""

    uri: str
    size: int
    etag: str


def whose(found: bytes, mine: bytes) -> CreateOutcome:
    """Whose an object is that was there already."""
    return CreateOutcome.ALREADY_MINE if found == mine else CreateOutcome.EXISTS


def changed(uri: str, etag: str) -> StorageError:
    """The error of a file that is not the one it was."""
    return StorageError(f"{uri}: changed while it was read (its etag is no longer {etag})")


def one_line(text: object) -> str:
    """The text without line breaks, and without the user and password that a URL may hold."""
    return _URL_USER.sub("", " ".join(str(text).split())) or type(text).__name__
