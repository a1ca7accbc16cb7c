"""Bytes behind URIs: local paths, `file://` and `s3://`, with creation that happens once and reads that are whole.

Credentials and endpoints come from the environment or the AWS profile only (`AWS_ACCESS_KEY_ID`, `AWS_PROFILE`,
`AWS_ENDPOINT_URL`, ...), never from arguments, and never appear in a message.
"""

import contextlib
import errno
import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, cast
from uuid import uuid4

import pyarrow as pa
import s3fs
from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]

from infra.errors import LensscanError
from infra.posix import link_new

S3_TRIES = 4
"""Puts of the same bytes before an unresolved creation is given up; s3fs retries each of them on its own besides."""
S3_WAIT_S = 0.2
S3_BLOCK_BYTES = 2**20
"""Read-ahead of an open file: s3fs's own 50 MiB makes a small cutout slow."""
S3_MAX_PUT_BYTES = 5 * 2**30
S3_STREAM_BYTES = 2**23
"""Of one ranged read of `read_blocks`: the wait for its first byte must not count."""
S3_STREAM_AHEAD = 2
"""Ranged reads on their way while the block before is worked on."""
LOCAL_STREAM_BYTES = 2**20
"""A block that is still in the cache of a core when it is worked on."""

_URL_USER = re.compile(r"://[^/@\s]*@")


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


def join(uri: str, *parts: str) -> str:
    """The URI of something below `uri`."""
    return "/".join([uri.rstrip("/"), *(part.strip("/") for part in parts)])


def absolute(uri: str) -> str:
    """The URI with a local path made absolute: processes elsewhere have another working directory."""
    return uri if is_s3(uri) else str(local_path(uri).absolute())


def read_bytes(uri: str) -> bytes:
    """The whole object.

    Raises:
        FileNotFoundError: there is none.
        OSError: the store failed (`StorageError` for S3).
    """
    if not is_s3(uri):
        return local_path(uri).read_bytes()
    with _named_errors(uri):
        return cast("bytes", s3_filesystem().cat_file(uri))


def read_exact(uri: str, start: int, length: int, etag: str | None = None) -> bytes:
    """`length` bytes from `start`, never fewer: no client checks that a ranged reply is whole.

    Raises:
        StorageError: the object ends before, a reply was cut short twice, or the object no longer has `etag`.
    """
    data = _whole_range(uri, start, length, lambda: _read_range(uri, start, length))
    if etag is not None:
        _check_etag(uri, etag)
    return data


def read_blocks(file: FileInfo) -> Iterator[bytes]:
    """A file as `info` showed it, front to back, each byte once, in blocks of one to eight MiB.

    Over S3 a few blocks are on their way while the one before is worked on.

    Raises:
        FileNotFoundError: there is none.
        StorageError: a block came short, or (said after the last block) the file is another by now.
    """
    if is_s3(file.uri):
        yield from _s3_blocks(file)
    else:
        with local_path(file.uri).open("rb", buffering=0) as stream:
            yield from iter(lambda: stream.read(LOCAL_STREAM_BYTES), b"")
    _check_etag(file.uri, file.etag)


def arrow_source(uri: str) -> pa.NativeFile:
    """For Arrow to read from: a local file as it is asked, an object of a store all at once.

    Raises:
        OSError: as `read_bytes`.
    """
    return pa.BufferReader(read_bytes(uri)) if is_s3(uri) else pa.OSFile(str(local_path(uri)))


def open_read(uri: str) -> BinaryIO:
    """A seekable file; over S3 it notices when the object is replaced meanwhile."""
    if not is_s3(uri):
        return local_path(uri).open("rb")
    with _named_errors(uri):
        return cast("BinaryIO", s3_filesystem().open(uri, "rb", block_size=S3_BLOCK_BYTES))


def exists(uri: str) -> bool:
    """Is there a file, or a folder or prefix that holds something?"""
    if not is_s3(uri):
        return local_path(uri).exists()
    with _named_errors(uri):
        return bool(s3_filesystem().exists(uri))


def info(uri: str) -> FileInfo:
    """Size and etag of one file.

    Raises:
        FileNotFoundError: there is none.
    """
    if not is_s3(uri):
        return _local_info(local_path(uri))
    with _named_errors(uri):
        return _s3_info(s3_filesystem().info(uri))


def list_files(root_uri: str, suffix: str = "") -> list[FileInfo]:
    """Every file below `root_uri` whose name ends in `suffix`, sorted by URI; hidden files are left out.

    Local files come as absolute paths. A root that does not exist holds nothing.
    """
    if is_s3(root_uri):
        with _named_errors(root_uri):
            try:
                found = s3_filesystem().find(root_uri, detail=True).values()
            except FileNotFoundError:
                return []
        files = [_s3_info(entry) for entry in found if entry["type"] == "file"]
    else:
        files = _local_files(local_path(root_uri).absolute(), suffix)
    kept = [file for file in files if file.uri.endswith(suffix) and not file.uri.rpartition("/")[2].startswith(".")]
    return sorted(kept, key=lambda file: file.uri)


def create_if_absent(uri: str, data: bytes, attempt: str) -> CreateOutcome:
    """Create the object with all of `data`, or leave alone what is there: atomic, durable, and one winner among many.

    Whose an existing object is, is decided by reading it back and comparing bytes: a store may lose the reply to a put that
    succeeded. An attempt that must be told from others carries its id inside `data`.

    Args:
        uri: Where to create.
        data: All bytes; at most 5 GiB on S3, where they go in a single conditional put.
        attempt: Id of this try, unique to it; S3 keeps it as the object's metadata `attempt`.

    Raises:
        StorageError: the outcome is unknown or the store cannot link. Nothing is deleted: try again later.
    """
    if is_s3(uri):
        return _create_s3(uri, data, attempt)
    path = local_path(uri)
    try:
        link_new(path, data)
    except FileExistsError:
        return _whose(path.read_bytes(), data)
    except OSError as error:
        raise StorageError(f"{uri}: cannot be created: {error.strerror or error}") from error
    return CreateOutcome.CREATED


def probe(root_uri: str) -> None:
    """Check that the store at `root_uri` creates conditionally; the catalogue must not be kept on one that does not.

    Raises:
        StorageError: a second creation of the same name was not refused, or replaced the first.
    """
    uri = join(root_uri, f".probe-{uuid4().hex}")
    first, second = b"first", b"second"
    try:
        outcomes = create_if_absent(uri, first, uuid4().hex), create_if_absent(uri, second, uuid4().hex)
        content = read_bytes(uri)
    finally:
        _remove_probe(uri)
    if outcomes != (CreateOutcome.CREATED, CreateOutcome.EXISTS) or content != first:
        raise StorageError(
            f"{root_uri}: the store ignores conditional creation (If-None-Match), so two runs could overwrite each other; "
            "use a local file system with hard links, AWS S3, or an S3 server that honours conditional writes"
        )


def check_folder(uri: str) -> None:
    """Can files be created below `uri`, as far as its name goes? Long work should ask first.

    Raises:
        StorageError: it is a file.
    """
    if not is_s3(uri) and local_path(uri).is_file():
        raise StorageError(f"{uri}: is a file, must be a folder or the name of a new one")


def is_s3(uri: str) -> bool:
    """Is this an `s3://` URI?

    Raises:
        StorageError: it is neither that nor a local path nor `file://`.
    """
    scheme, separator, _ = uri.partition("://")
    if separator and scheme not in {"s3", "file"}:
        raise StorageError(f"{_URL_USER.sub('://', uri)}: must be a local path, file:// or s3://, got {scheme}://")
    return bool(separator) and scheme == "s3"


def local_path(uri: str) -> Path:
    """The path of a local URI."""
    return Path(uri.removeprefix("file://"))


def s3_filesystem() -> s3fs.S3FileSystem:
    """The S3 client of this thread; fsspec keeps one per endpoint. Listings are never cached: others write too."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return s3fs.S3FileSystem(endpoint_url=endpoint, use_listings_cache=False)


@contextlib.contextmanager
def _named_errors(uri: str) -> Iterator[None]:
    """Turn what S3 clients raise into one line that names the object and holds no credentials."""
    try:
        yield
    except StorageError:
        raise
    except FileNotFoundError as error:
        raise FileNotFoundError(errno.ENOENT, "no such object or bucket", uri) from error
    except (OSError, BotoCoreError) as error:
        raise StorageError(f"{uri}: {_one_line(error)}") from error


def _create_s3(uri: str, data: bytes, attempt: str) -> CreateOutcome:
    if len(data) >= S3_MAX_PUT_BYTES:
        raise StorageError(f"{uri}: one put holds less than {S3_MAX_PUT_BYTES} bytes, got {len(data)}")
    for i_try in range(S3_TRIES):
        time.sleep(S3_WAIT_S * i_try)
        try:
            # A chunk larger than the data keeps s3fs from a multipart upload.
            chunk = len(data) + 1
            s3_filesystem().pipe_file(uri, data, chunksize=chunk, mode="create", Metadata={"attempt": attempt})
        except (OSError, BotoCoreError) as error:
            failure = error
        else:
            return CreateOutcome.CREATED
        # Refused (412), in conflict (409) or unknown (timeout, 5xx): the object itself tells. Absent: try the same again.
        with contextlib.suppress(FileNotFoundError):
            return _whose(read_bytes(uri), data)
    raise StorageError(f"{uri}: cannot be created: {_one_line(failure)}") from failure


def _one_line(error: Exception) -> str:
    return _URL_USER.sub("://", " ".join(str(error).split())) or type(error).__name__


def _whose(found: bytes, mine: bytes) -> CreateOutcome:
    return CreateOutcome.ALREADY_MINE if found == mine else CreateOutcome.EXISTS


def _whole_range(uri: str, start: int, length: int, read: Callable[[], bytes]) -> bytes:
    for _ in range(2):
        data = read()
        if len(data) == length:
            return data
    raise StorageError(f"{uri}: asked for {length} bytes from {start}, got {len(data)}")


def _check_etag(uri: str, etag: str) -> None:
    if (now := info(uri).etag) != etag:
        raise StorageError(f"{uri}: changed while it was read (etag {etag} became {now})")


def _s3_blocks(file: FileInfo) -> Iterator[bytes]:
    store = s3_filesystem()  # one client, also for the threads

    def fetch(start: int) -> bytes:
        stop = min(start + S3_STREAM_BYTES, file.size)
        with _named_errors(file.uri):
            return _whole_range(file.uri, start, stop - start, lambda: store.cat_file(file.uri, start=start, end=stop))

    coming: deque[Future[bytes]] = deque()
    pool = ThreadPoolExecutor(S3_STREAM_AHEAD)
    try:
        for start in range(0, file.size, S3_STREAM_BYTES):
            coming.append(pool.submit(fetch, start))
            if len(coming) > S3_STREAM_AHEAD:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _read_range(uri: str, start: int, length: int) -> bytes:
    if is_s3(uri):
        with _named_errors(uri):
            return cast("bytes", s3_filesystem().cat_file(uri, start=start, end=start + length))
    with local_path(uri).open("rb") as file:
        file.seek(start)
        return file.read(length)


def _local_files(root: Path, suffix: str) -> list[FileInfo]:
    """Below `root`, links followed. A folder that cannot be listed is an error: skipping it would lose what it holds."""

    def refuse(error: OSError) -> None:
        if not (isinstance(error, FileNotFoundError) and error.filename == str(root)):
            raise StorageError(f"{error.filename}: cannot be listed: {error.strerror}") from error

    walk = os.walk(root, onerror=refuse, followlinks=True)
    paths = [Path(folder, name) for folder, _, names in walk for name in names if name.endswith(suffix)]
    try:
        return [_local_info(path) for path in paths]
    except FileNotFoundError as error:
        raise StorageError(f"{error.filename}: went away while it was listed, or is a broken link") from error


def _local_info(path: Path) -> FileInfo:
    status = path.stat()
    return FileInfo(str(path), status.st_size, f"{status.st_mtime_ns:x}-{status.st_size:x}")


def _s3_info(entry: dict[str, Any]) -> FileInfo:
    return FileInfo(f"s3://{entry['name']}", int(entry["size"]), str(entry.get("ETag", "")).strip('"'))


def _remove_probe(uri: str) -> None:
    """The one deletion in this file: of a scratch object, whose name nobody else knows."""
    remove: Callable[[], object] = (lambda: s3_filesystem().rm_file(uri)) if is_s3(uri) else local_path(uri).unlink
    with contextlib.suppress(OSError, BotoCoreError):
        remove()
