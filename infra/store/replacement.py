"""Replace a file as a whole: only for files that are computed from others, so that a lost version can be made again."""

from infra.steps import Step, reached
from infra.store import s3
from infra.store.files import StorageError
from infra.store.posix import rename_over
from infra.store.storage import is_s3, local_path


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
            raise StorageError(f"{uri}: cannot be written: {error.strerror or error}") from error
    reached(Step.REPLACED, uri)
