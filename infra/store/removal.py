"""Remove a file: one that a repair has copied elsewhere, or one of a plan that a user wants to forget."""

from infra.store import s3
from infra.store.files import FileInfo, StorageError, changed, one_line
from infra.store.posix import sync_folder
from infra.store.storage import info, is_s3, local_path


def remove(file: FileInfo) -> None:
    """Permanently remove the version of a file that `info` showed, as durably as it was created; a missing file is no error.

    On a local disk, and on stores without If-Match, a file that replaces it at that very moment is removed too.

    Raises:
        StorageError: the file was replaced and was left alone, or the store failed and the file may or may not exist.
    """
    if is_s3(file.uri):
        s3.remove(file)
        return
    try:
        if info(file.uri).etag != file.etag:
            raise changed(file.uri, file.etag)
        path = local_path(file.uri)
        path.unlink()
        sync_folder(path.parent)
    except FileNotFoundError:
        return
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(f"{file.uri}: cannot be removed: {one_line(error.strerror or error)}") from error
