"""Give files that exist another name, without reading them where the store can do that: for folders that share their files."""

import os
import shutil
from pathlib import Path

from infra.store import s3
from infra.store.files import cannot_write
from infra.store.storage import is_s3, local_path


def copy_file(source_uri: str, target_uri: str) -> None:
    """Give the file a second name in the same store: a hard link on a disk, a copy made by the server on S3.

    Both must be files that never change. The name of a new link is durable after `settle`.

    Raises:
        FileNotFoundError: there is no source.
        StorageError: the store failed.
    """
    if is_s3(target_uri):
        s3.copy(source_uri, target_uri)
    else:
        _link(local_path(source_uri), local_path(target_uri))


def put_file(path: Path, target_uri: str) -> None:
    """Put a file of this machine into a store; on the same disk, it gets a second name there.

    Raises:
        StorageError: the store failed.
    """
    if is_s3(target_uri):
        s3.replace(target_uri, path.read_bytes())
    else:
        _link(path, local_path(target_uri))


def settle(root_uri: str) -> None:
    """Wait until all that was written below a root survives a power cut: one call in place of one for each file and folder."""
    if not is_s3(root_uri):
        os.sync()


def _link(source: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            target.hardlink_to(source)
        except (FileNotFoundError, FileExistsError):
            raise
        except OSError:
            # No hard links between two disks, nor beyond the largest number of names of a file.
            shutil.copyfile(source, target)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise cannot_write(str(target), error) from error
