"""The only removal there is, apart from scratch: of a file that somebody has copied elsewhere before."""

from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]

from infra.posix import sync_folder
from infra.storage import StorageError, is_s3, local_path, s3_filesystem


def remove(uri: str) -> None:
    """Remove one file for good, as durably as it was created. One that is not there is fine.

    Raises:
        StorageError: the store failed; the file is there or not.
    """
    try:
        if is_s3(uri):
            s3_filesystem().rm_file(uri)
        else:
            local_path(uri).unlink(missing_ok=True)
            sync_folder(local_path(uri).parent)
    except FileNotFoundError:
        pass
    except (OSError, BotoCoreError) as error:
        raise StorageError(f"{uri}: cannot be removed: {' '.join(str(error).split())}") from error
