"""List the folders in a folder, and remove one with all of its files: only folders that no reader looks for any more."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from infra.store import s3
from infra.store.files import StorageError, one_line
from infra.store.storage import is_s3, local_path, not_listed


def list_folders(root_uri: str) -> list[str]:
    """Return the sorted names of the folders right in a folder, hidden ones too; none if there is no such folder.

    Raises:
        StorageError: the store failed.
    """
    if is_s3(root_uri):
        return sorted(s3.list_prefixes(root_uri))
    try:
        return sorted(path.name for path in local_path(root_uri).iterdir() if path.is_dir() and not path.is_symlink())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StorageError(not_listed(error)) from error


def remove_folder(uri: str) -> None:
    """Permanently remove a folder with all that is in it; a folder that is not there is no error.

    Raises:
        StorageError: the store failed, and the folder may hold some of its files.
    """
    if is_s3(uri):
        s3.remove_all(uri)
        return
    try:
        shutil.rmtree(local_path(uri))
    except FileNotFoundError:
        # Another process removes it too; if that one is interrupted, the next removal finds the rest.
        pass
    except OSError as error:
        raise StorageError(f"{uri}: cannot be removed: {error.strerror or one_line(error)}") from error


@contextmanager
def no_empty_folder(uri: str) -> Iterator[None]:
    """If the block fails, remove a local folder that it has made, and those above, as far as they are empty."""
    path = None if is_s3(uri) else local_path(uri).absolute()
    new = [] if path is None else [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        yield
    except BaseException:
        with suppress(OSError):
            for folder in new:
                folder.rmdir()
        raise
