"""Find what has the name of a unit's file and is no file, and move it to quarantine: only a disk can hold such things."""

from uuid import uuid4

from infra.store.files import cannot_write
from infra.store.posix import sync_folder
from infra.store.storage import StorageError, is_s3, join, local_path
from scanner.catalogue.paths import QUARANTINE, UNIT_SUFFIX, UNITS, path_below, units_uri


def no_files(root_uri: str, plan_id: str) -> dict[str, str]:
    """Return the links that lead nowhere, pipes, and folders with the name of a unit among a plan's unit files, and why.

    Other commands cannot list the folder because of such a link, and wait for such a folder as for a store that fails.

    Raises:
        StorageError: the folder cannot be listed.
    """
    folder = units_uri(root_uri, plan_id)
    if is_s3(root_uri) or not local_path(folder).is_dir():
        return {}
    found = {}
    try:
        for path in sorted(local_path(folder).iterdir()):
            if path.is_dir() and path.name.endswith(UNIT_SUFFIX):
                found[join(folder, path.name)] = "is a folder, must be a file"
            elif not path.is_dir() and not path.is_file():
                found[join(folder, path.name)] = "is a link that leads nowhere, or a pipe"
    except OSError as error:
        raise StorageError(f"{folder}: cannot be listed: {error.strerror or error}") from error
    return found


def no_file_quarantine(root_uri: str, uri: str) -> str:
    """Return a name in a hidden folder of the quarantine, which no listing enters; no other thing has the name."""
    return join(root_uri, QUARANTINE, ".no-files", f"{path_below(uri, UNITS)}.{uuid4().hex}")


def move(uri: str, to_uri: str) -> None:
    """Rename a link or a folder.

    Raises:
        StorageError: it cannot be renamed.
    """
    source, target = local_path(uri), local_path(to_uri)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        source.rename(target)
        sync_folder(target.parent)
        sync_folder(source.parent)
    except OSError as error:
        raise cannot_write(uri, error, "moved") from error
