"""The only removal there is, apart from scratch: of a file that somebody has copied elsewhere before."""

from infra.store import s3
from infra.store.files import FileInfo, StorageError, changed, one_line
from infra.store.posix import sync_folder
from infra.store.storage import info, is_s3, local_path


def remove(file: FileInfo) -> None:
    """Remove a file as `info` showed it for good, as durably as it was created. That it is gone already is fine.

    On a local disk, and on stores that do not know If-Match, a file that is put in its place at the very moment goes with it.

    Raises:
        StorageError: it is another file by now, which was left alone, or the store failed: the file is there or not.
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
