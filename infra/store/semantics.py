"""Try on scratch files what a catalogue or a folder of tiles needs of its store, and compare its clock with this machine's."""

from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from uuid import uuid4

from botocore.exceptions import ClientError  # type: ignore[import-untyped]

from infra.store import s3
from infra.store.files import FileInfo, StorageError
from infra.store.s3_client import ask
from infra.store.storage import create_scratch, info, is_s3, join, list_files, local_path, open_read, read_bytes

CONTENT = bytes(range(256)) * 16
"""Bytes of a scratch file: each range of them differs from the next."""
_RANGE = slice(1000, 3000)


def existing_place(uri: str) -> str:
    """Return the URI itself, or for a local folder that does not exist the nearest folder above it that does."""
    if is_s3(uri):
        return uri
    path = local_path(uri).absolute()
    return str(next(place for place in (path, *path.parents) if place.is_dir()))


def check_writes(root_uri: str) -> None:
    """Check that what was just written below a root is read back, in whole and in part, and listed.

    Raises:
        StorageError: the store failed, or gave other bytes.
    """
    folder = join(root_uri, f".probe-{uuid4().hex}")
    uri = join(folder, "object")
    try:
        create_scratch(root_uri, uri, CONTENT)
        if read_bytes(uri) != CONTENT:
            raise StorageError(f"{root_uri}: the store returns other bytes than were written")
        _check_range(info(uri))
        if [file.uri.rpartition("/")[2] for file in _listed(folder)] != ["object"]:
            raise StorageError(f"{root_uri}: the store does not list a file that was just written")
    finally:
        _remove(folder, uri)


def check_tiles(root_uri: str) -> FileInfo:
    """Check that a part of a file below a root can be read; return that file.

    Raises:
        FileNotFoundError: there is no file.
        StorageError: the store failed, or gave too few bytes.
    """
    first = next(iter(s3.list_objects(root_uri) if is_s3(root_uri) else list_files(root_uri)), None)
    if first is None:
        raise FileNotFoundError(2, "holds no file", root_uri)
    n = min(first.size, _RANGE.stop)
    with open_read(first.uri) as file:
        if len(file.read(n)) != n:
            raise StorageError(f"{first.uri}: the store returns fewer bytes than were asked for")
    return first


def clock_skew_s(root_uri: str) -> float | None:
    """Return by how many seconds the store's clock is ahead of this machine's; None if the store does not tell the time.

    An S3 store tells it in each answer, also in a refusal, to a second; a file system by the time of a new file.

    Raises:
        StorageError: the store does not answer.
    """
    if is_s3(root_uri):
        told = _date_of_answer(root_uri)
        return None if told is None else (parsedate_to_datetime(told) - datetime.now(UTC)).total_seconds()
    uri = join(existing_place(root_uri), f".probe-{uuid4().hex}")
    try:
        create_scratch(root_uri, uri, CONTENT)
        modified = info(uri).modified
    finally:
        with suppress(OSError):
            local_path(uri).unlink()
    return None if modified is None else (modified - datetime.now(UTC)).total_seconds()


def _date_of_answer(root_uri: str) -> str | None:
    bucket = root_uri.removeprefix("s3://").partition("/")[0]

    def head(client: Any) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = client.head_bucket(Bucket=bucket)
        except ClientError as error:
            answer = error.response
        return answer

    return ask(root_uri, head).get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")


def _check_range(file: FileInfo) -> None:
    n = _RANGE.stop - _RANGE.start
    if is_s3(file.uri):
        part = s3.read_range(file.uri, _RANGE.start, n, file.etag, size=file.size)
    else:
        with open_read(file.uri) as opened:
            opened.seek(_RANGE.start)
            part = opened.read(n)
    if part != CONTENT[_RANGE]:
        raise StorageError(f"{file.uri}: the store returns a wrong part of a file, so tiles cannot be read from it")


def _listed(folder: str) -> list[FileInfo]:
    return list(s3.list_objects(folder)) if is_s3(folder) else list_files(folder)


def _remove(folder: str, uri: str) -> None:
    """Delete the scratch file, whose name no other process has."""
    with suppress(OSError):
        if is_s3(uri):
            s3.remove_probe(uri)
        else:
            local_path(uri).unlink()
            local_path(folder).rmdir()
