"""Create and replace files atomically and durably on a POSIX file system: a reader never sees a part of a file."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

from infra.steps import Step, reached

_NO_UNNAMED_FILES = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT}
"""Error numbers from file systems without O_TMPFILE (NFS, old kernels)."""


def link_new(path: Path, data: bytes) -> None:
    """Write `data` to storage, then give it the name `path` in one step that fails if the name is taken.

    On Linux the data are staged in a file without a name: a killed writer leaves nothing behind. Elsewhere they are staged
    beside `path` as `.<uuid>.tmp`, a name that neither `**/*.parquet` nor pyarrow's datasets match.
    The name is given by `link`, not `rename`, because `rename` silently replaces an existing file.

    Raises:
        FileExistsError: the name is taken.
        OSError: any other failure, including a file system without hard links.
    """
    _durable_folder(path.parent)
    try:
        if not _link_unnamed(path, data):
            _link_named(path, data)
    finally:
        sync_folder(path.parent)


def rename_over(path: Path, data: bytes) -> None:
    """Write `data` to storage, then give it the name `path` in one step, in place of the file that has this name.

    The data are staged beside `path` as `.<uuid>.tmp`, which a killed writer may leave behind.

    Raises:
        OSError: any failure; the old file stays as it was.
    """
    _durable_folder(path.parent)
    with _staged(path, data) as staging:
        staging.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Sync a folder, so that the names in it survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _durable_folder(folder: Path) -> None:
    """Make a folder and its parents, and sync their names against a power cut, even if another process just made them."""
    if folder.is_dir():
        # If its parent cannot be opened for reading, this writer did not make the folder.
        with contextlib.suppress(PermissionError):
            sync_folder(folder.parent)
    else:
        _durable_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def _link_unnamed(path: Path, data: bytes) -> bool:
    """Create the file through O_TMPFILE; return False, with nothing done, if the system does not support it."""
    if not hasattr(os, "O_TMPFILE") or not Path("/proc/self/fd").is_dir():
        return False
    try:
        descriptor = os.open(path.parent, os.O_TMPFILE | os.O_WRONLY, 0o666)
    except OSError as error:
        if error.errno in _NO_UNNAMED_FILES:
            return False
        raise
    with os.fdopen(descriptor, "wb") as file:
        _write_through(file.fileno(), data, path)
        reached(Step.LINK, str(path))
        # A directory descriptor makes Python call linkat, the only call that follows /proc's link to the unnamed file.
        os.link(f"/proc/self/fd/{file.fileno()}", path, src_dir_fd=file.fileno(), follow_symlinks=True)
    reached(Step.LINKED, str(path))
    return True


def _link_named(path: Path, data: bytes) -> None:
    with _staged(path, data) as staging:
        reached(Step.LINK, str(path))
        os.link(staging, path)
        reached(Step.LINKED, str(path))


@contextlib.contextmanager
def _staged(path: Path, data: bytes) -> Iterator[Path]:
    """Yield a file beside `path` that holds `data`, synced; remove it afterwards if it still has its name."""
    staging = path.parent / f".{uuid4().hex}.tmp"
    descriptor = os.open(staging, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            _write_through(file.fileno(), data, path)
        yield staging
    finally:
        with contextlib.suppress(FileNotFoundError):
            staging.unlink()


def _write_through(descriptor: int, data: bytes, path: Path) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
    reached(Step.SYNC, str(path))
    os.fsync(descriptor)
