"""Read and create files by URI: local paths, `file://` and `s3://`. Reads are never short; a file is created only once.

Credentials and endpoints come from the environment or the AWS profile only (`AWS_ACCESS_KEY_ID`, `AWS_PROFILE`,
`AWS_ENDPOINT_URL`, ...), never from arguments, and never appear in a message.
"""

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

import pyarrow as pa

from infra.errors import LensscanError
from infra.read_ahead import map_ahead
from infra.steps import Step, reached
from infra.store import s3
from infra.store.files import CreateOutcome, FileInfo, PlaceError, StorageError, cannot_write, changed, one_line, whose
from infra.store.posix import link_new
from infra.store.s3_file import open_object

LOCAL_STREAM_BYTES = 2**20
"""Block size of a local read in bytes: such a block is still in a core's cache when it is processed."""
N_AHEAD = 8
"""Number of small files read at a time: over S3, nearly all of their time is waiting."""

__all__ = [
    "N_AHEAD",
    "CreateOutcome",
    "FileInfo",
    "StorageError",
    "absolute",
    "arrow_source",
    "check_apart",
    "check_folder",
    "create_if_absent",
    "create_scratch",
    "exists",
    "info",
    "is_s3",
    "join",
    "list_files",
    "local_only",
    "local_path",
    "open_read",
    "probe",
    "read_blocks",
    "read_bytes",
    "read_many",
    "read_version",
]


def join(uri: str, *parts: str) -> str:
    """Return the URI of a file or folder below `uri`."""
    return "/".join([uri.rstrip("/"), *(part.strip("/") for part in parts)])


def absolute(uri: str) -> str:
    """Return the URI with a local path made absolute: other processes may have another working directory."""
    return uri if is_s3(uri) else str(local_path(uri).absolute())


def read_bytes(uri: str) -> bytes:
    """Return all bytes of a file.

    Raises:
        FileNotFoundError: there is no file.
        StorageError: the store failed.
    """
    if is_s3(uri):
        return s3.read_object(uri)
    with _local(uri):
        return _regular(uri).read_bytes()


def read_many(files: Iterable[FileInfo]) -> Iterator[bytes | None]:
    """Yield the bytes of each listed file, in order, reading a few at a time; None for a file that is gone by now.

    Raises:
        StorageError: the store failed.
    """

    def read(file: FileInfo) -> bytes | None:
        with suppress(FileNotFoundError):
            if is_s3(file.uri):
                # This saves one request; it fails if the file was replaced since it was listed.
                with suppress(StorageError):
                    return s3.read_range(file.uri, 0, file.size, file.etag, size=file.size)
            return read_bytes(file.uri)
        return None

    return map_ahead(read, files, N_AHEAD)


def read_blocks(file: FileInfo) -> Iterator[bytes]:
    """Yield the version of a file that `info` showed, from start to end, each byte once, in blocks of one to eight MiB.

    Over S3 a few blocks are in flight while the caller processes the block before them.

    Raises:
        FileNotFoundError: there is no file.
        StorageError: a block is too short; or, raised in place of the last block or after it, the file was replaced or the
            bytes read differ from those stored.
    """
    if is_s3(file.uri):
        yield from s3.read_blocks(file)
        return
    with _regular(file.uri).open("rb", buffering=0) as stream:
        yield from iter(lambda: stream.read(LOCAL_STREAM_BYTES), b"")
    if info(file.uri).etag != file.etag:
        raise changed(file.uri, file.etag)


def read_version(file: FileInfo) -> bytes:
    """Return all bytes of the version of a file that a listing or `info` showed.

    Raises:
        FileNotFoundError: there is no file.
        StorageError: the file was replaced meanwhile, or the store failed.
    """
    with _local(file.uri):
        return b"".join(read_blocks(file))


def arrow_source(uri: str) -> pa.NativeFile:
    """Return a source that Arrow can read: a local file is read on demand, an S3 object all at once.

    Raises:
        OSError: as for `read_bytes`.
    """
    if is_s3(uri):
        return pa.BufferReader(read_bytes(uri))
    with _local(uri):
        if local_path(uri).is_dir():
            raise IsADirectoryError
        return pa.OSFile(str(_regular(uri)))


def open_read(uri: str) -> BinaryIO:
    """Open a seekable file; over S3, a read raises StorageError if the object was replaced meanwhile."""
    return open_object(s3.info(uri)) if is_s3(uri) else _regular(uri).open("rb")


def exists(uri: str) -> bool:
    """Return whether there is a local file or folder, or an object or a prefix that holds an object."""
    return s3.exists(uri) if is_s3(uri) else local_path(uri).exists()


def info(uri: str) -> FileInfo:
    """Return size and ETag of one file.

    Raises:
        FileNotFoundError: there is no file.
    """
    if is_s3(uri):
        return s3.info(uri)
    with _local(uri):
        return _local_info(_regular(uri))


def list_files(root_uri: str, suffix: str = "") -> list[FileInfo]:
    """Return every file below `root_uri` whose name ends in `suffix`, sorted by URI, without hidden files and folders.

    The root itself may be hidden. Local files have absolute paths. A root that does not exist holds no files.
    """
    root = root_uri.rstrip("/") if is_s3(root_uri) else str(local_path(root_uri).absolute())
    files = s3.list_objects(root) if is_s3(root) else _local_files(Path(root), suffix)
    kept = [file for file in files if file.uri.endswith(suffix) and "/." not in file.uri.removeprefix(root)]
    return sorted(kept, key=lambda file: file.uri)


def create_if_absent(uri: str, data: bytes, attempt: str) -> CreateOutcome:
    """Create the file with all of `data`, or leave an existing one alone: atomically, durably, with one winner among writers.

    An existing object is read back and its bytes are compared, because a store may lose the reply to a put that succeeded.
    An attempt that must differ from others carries its id inside `data`.

    Args:
        uri: URI of the new file.
        data: All bytes; at most 5 GiB on S3, where they are sent in a single conditional put.
        attempt: Id of this try, unique to it; S3 keeps it as the object's metadata `attempt`.

    Raises:
        StorageError: the outcome is unknown or the store cannot link. Nothing is deleted: try again later.
    """
    reached(Step.CREATE, uri)
    outcome = s3.create(uri, data, attempt) if is_s3(uri) else _create_local(uri, data)
    reached(Step.CREATED, uri)
    return outcome


def _create_local(uri: str, data: bytes) -> CreateOutcome:
    path = local_path(uri)
    try:
        try:
            link_new(path, data)
        except FileExistsError:
            return whose(path.read_bytes(), data)
    except OSError as error:
        raise cannot_write(uri, error, "created") from error
    return CreateOutcome.CREATED


def probe(root_uri: str) -> None:
    """Check that the store at `root_uri` honours conditional creation; a catalogue must not be on a store that does not.

    Raises:
        PlaceError: the root is a file or below one, or a second creation of a name was not refused, or replaced the first.
        StorageError: no file can be created.
    """
    check_folder(root_uri)
    uri = join(root_uri, f".probe-{uuid4().hex}")
    first, second = b"first", b"second"
    try:
        outcomes = create_scratch(root_uri, uri, first), create_scratch(root_uri, uri, second)
        content = read_bytes(uri)
    finally:
        _remove_probe(uri)
    # If the first creation finds its own bytes there already, its reply was lost.
    if outcomes[0] is CreateOutcome.EXISTS or outcomes[1] is not CreateOutcome.EXISTS or content != first:
        raise PlaceError(
            f"{root_uri}: the store ignores conditional creation (If-None-Match), so two runs could overwrite each other; "
            "use a local file system with hard links, AWS S3, or an S3 server that honours conditional writes"
        )


def create_scratch(root_uri: str, uri: str, data: bytes) -> CreateOutcome:
    """Create a scratch file below a root; an error about a local file names the root, because nobody chose the file's name.

    Raises:
        StorageError: the file cannot be created.
    """
    try:
        return create_if_absent(uri, data, uuid4().hex)
    except StorageError as error:
        cause = error.__cause__
        if is_s3(uri) or not isinstance(cause, OSError):
            raise
        raise StorageError(f"{root_uri}: the folder cannot be created or written: {cause.strerror or cause}") from error


def check_folder(uri: str) -> None:
    """Check that `uri` is no existing file nor below one, so that files can be created below it; call this before long work.

    Raises:
        StorageError: `uri` is a file, or a path through a file.
    """
    if is_s3(uri):
        return
    path = local_path(uri)
    if path.is_file():
        raise PlaceError(f"{uri}: is a file, must be a folder or the name of a new one")
    for parent in path.parents:
        if parent.is_file():
            raise PlaceError(f"{uri}: {parent} is a file, must be a folder")


def check_apart(place: str, uri: str, of: str, error: type[LensscanError]) -> None:
    """Check that neither of two places lies in the other, links resolved; `of` names `uri` in the message.

    Raises:
        LensscanError: one does; it is of the type `error`.
    """
    ours, theirs = (f"{absolute(one).rstrip('/') if is_s3(one) else local_path(one).resolve()}/" for one in (place, uri))
    if ours.startswith(theirs) or theirs.startswith(ours):
        raise error(f"{place}: must lie outside {of} {uri}, and not around it")


def is_s3(uri: str) -> bool:
    """Return whether this is an `s3://` URI.

    Raises:
        StorageError: the URI is neither `s3://` nor `file://` nor a local path, names no bucket, or holds a user or password.
    """
    scheme, separator, place = uri.partition("://")
    host = place.partition("/")[0]
    # The error does not quote the URI: a secret that holds a slash looks like a path.
    if separator and scheme not in {"s3", "file"} and "@" not in host + scheme:
        raise PlaceError(f"{one_line(uri)}: must be a local path, file:// or s3://, got {scheme}://")
    if separator and ("@" in host + scheme or (":" in host and scheme != "file")):
        raise PlaceError(
            "an s3:// URI must not hold a user or password, which come from the environment or a profile, nor a port: "
            "an endpoint is set by AWS_ENDPOINT_URL"
        )
    if scheme == "s3" and separator and not host:
        raise PlaceError(f"{one_line(uri)}: must name a bucket, as in s3://bucket/folder")
    return bool(separator) and scheme == "s3"


def local_path(uri: str) -> Path:
    """Return the path of a local URI; `~` alone or before a slash is the user's home, and part of a name elsewhere."""
    path = Path(uri.removeprefix("file://"))
    return path.expanduser() if uri == "~" or uri.startswith("~/") else path


def local_only(uri: str) -> Path:
    """Return the path of a local URI, for what is never on S3: `Path` itself makes a folder named `s3:` of an S3 URI.

    Raises:
        StorageError: the URI is on S3, or is not one that this program reads.
    """
    if is_s3(uri):
        raise PlaceError(f"{uri}: is on S3, must be a local path")
    return local_path(uri)


def _regular(uri: str) -> Path:
    """Return the path of a local file or folder, and refuse a pipe or a device, whose reading may never end.

    Raises:
        PlaceError: it is such a one.
        OSError: it does not exist, or is not to be reached.
    """
    path = local_path(uri)
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise PlaceError(f"{uri}: is a pipe or a device, must be a file")
    return path


@contextmanager
def _local(uri: str) -> Iterator[None]:
    """Convert the system's errors about a file that exists but cannot be read into StorageError, as over S3."""
    try:
        yield
    except (FileNotFoundError, StorageError):
        raise
    except (IsADirectoryError, NotADirectoryError) as error:
        raise FileNotFoundError(errno.ENOENT, "a folder, or below a file", uri) from error
    except OSError as error:
        raise StorageError(f"{uri}: cannot be read: {error.strerror or one_line(error)}") from error


def not_listed(error: OSError) -> str:
    """Return why a local folder cannot be listed."""
    if isinstance(error, NotADirectoryError):
        file = next((path for path in Path(error.filename).parents if path.is_file()), error.filename)
        return f"{file}: is a file, must be a folder; that of a catalogue is the one given to `lensscan scan --out`"
    return f"{error.filename}: cannot be listed: {error.strerror or one_line(error)}"


def _local_files(root: Path, suffix: str) -> list[FileInfo]:
    """List the files below `root`, following links. An unlistable folder is an error: skipping it would lose files."""
    try:
        paths = [path for path in _paths_below(str(root)) if path.endswith(suffix)]
    except OSError as error:
        if isinstance(error, FileNotFoundError) and error.filename == str(root):
            return []
        raise StorageError(not_listed(error)) from error
    try:
        return [_local_info(Path(path)) for path in paths]
    except FileNotFoundError as error:
        raise StorageError(f"{error.filename}: went away while it was listed, or is a broken link") from error


def _paths_below(folder: str, above: frozenset[tuple[int, int]] = frozenset()) -> Iterator[str]:
    """Yield the paths of all files below a folder; `above` are the folders that it lies in, by device and inode."""
    status = Path(folder).stat()
    here = status.st_dev, status.st_ino
    # A link to a folder that it lies in would be followed for ever; what that folder holds is listed already.
    if here in above:
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.is_dir():
                yield entry.path
            # Tools that copy files keep unfinished ones in hidden folders, which may go away at any time.
            elif not entry.name.startswith("."):
                yield from _paths_below(entry.path, above | {here})


def _local_info(path: Path) -> FileInfo:
    status = path.stat()
    modified = datetime.fromtimestamp(status.st_mtime, UTC)
    # The system sets the change time at every writing, renaming and `utime`, so a file that replaces another of the same size
    # and time of modification shows. The inode adds nothing, and some network file systems number it anew on each machine.
    etag = f"{status.st_mtime_ns:x}-{status.st_ctime_ns:x}-{status.st_size:x}"
    return FileInfo(str(path), status.st_size, etag, modified)


def _remove_probe(uri: str) -> None:
    """Delete a scratch file, whose name no other process has: the only deletion in this file."""
    with suppress(OSError):
        if is_s3(uri):
            s3.remove_probe(uri)
        else:
            local_path(uri).unlink()
