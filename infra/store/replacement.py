"""Replace a file as a whole: only for files that are computed from others, so that a lost version can be made again."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from infra.steps import Step, reached
from infra.store import s3
from infra.store.files import PlaceError, StorageError, cannot_write
from infra.store.posix import rename_over
from infra.store.storage import create_scratch, info, is_s3, join, local_path, probe, read_bytes


def replace(uri: str, data: bytes) -> None:
    """Write all of `data` under a name, whether or not a file has it; of two writers the last one wins.

    A reader sees the old content or the new one, each whole.

    Raises:
        StorageError: the store failed, and the file may be the old one or the new one.
    """
    reached(Step.REPLACE, uri)
    if is_s3(uri):
        s3.replace(uri, data)
    else:
        try:
            rename_over(local_path(uri), data)
        except OSError as error:
            raise cannot_write(uri, error) from error
    reached(Step.REPLACED, uri)


def replace_if(uri: str, data: bytes, expected: bytes | None) -> bool:
    """Write all of `data` if the file still holds `expected`, or if there still is none for None; return whether that was so.

    Of several writers that expect the same content one wins. No two writers may write equal bytes, so that a content never
    comes back. A reader sees the old content or the new one, each whole.

    Raises:
        StorageError: the store failed, and the file may be the old one or the new one.
    """
    reached(Step.REPLACE, uri)
    if is_s3(uri):
        is_replaced = _replace_object_if(uri, data, expected)
    else:
        try:
            with _locked(local_path(uri).parent):
                if is_replaced := _content(uri) == expected:
                    rename_over(local_path(uri), data)
        except OSError as error:
            raise cannot_write(uri, error) from error
    if is_replaced:
        reached(Step.REPLACED, uri)
    return is_replaced


def probe_replacement(root_uri: str) -> None:
    """Check that the store at `root_uri` honours the conditions of `replace_if`; a disk does, by a lock of this machine.

    Raises:
        PlaceError: it replaces a file that is not the expected one, or creates one that is there.
        StorageError: no file can be created.
    """
    if not is_s3(root_uri):
        return
    probe(root_uri)
    uri = join(root_uri, f".probe-{uuid4().hex}")
    try:
        create_scratch(root_uri, uri, b"first")
        etag = info(uri).etag
        outcomes = [s3.replace_if(uri, data, etag) for data in (b"second", b"third")]
    finally:
        with suppress(OSError):
            s3.remove_probe(uri)
    if outcomes != [True, False]:
        raise PlaceError(
            f"{root_uri}: the store ignores conditional replacement (If-Match), so two publishers could overwrite each other's "
            "version; use a local file system, AWS S3, or an S3 server that honours conditional writes"
        )


def _replace_object_if(uri: str, data: bytes, expected: bytes | None) -> bool:
    if expected is None:
        return s3.replace_if(uri, data, None)
    with suppress(FileNotFoundError):
        file = info(uri)
        try:
            is_expected = s3.read_range(uri, 0, file.size, file.etag, size=file.size) == expected
        except StorageError:
            if info(uri).etag == file.etag:
                raise
            return False
        return is_expected and s3.replace_if(uri, data, file.etag)
    return False


def _content(uri: str) -> bytes | None:
    try:
        return read_bytes(uri)
    except FileNotFoundError:
        return None


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Make a folder, and keep other writers of this function out; the system ends the lock of a writer that is killed."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
