"""Check that a version of a collection has all of its files, as they were written."""

from infra.provenance import sha256_bytes
from infra.read_ahead import map_ahead
from infra.store.storage import N_AHEAD, join, list_files, read_bytes
from scanner.hats.errors import PublishError
from scanner.hats.manifest import StoredFile, load_manifest
from scanner.hats.paths import MANIFEST


def faults_of(collection_uri: str, version: str, *, deep: bool = False) -> dict[str, str]:
    """Return what is wrong with the files of a version, by their path in it; nothing for a whole version.

    Existence and size follow from one listing. With `deep`, every byte is read and compared with the digests.

    Raises:
        StorageError: the store failed.
    """
    version_uri = join(collection_uri, version)
    try:
        files = load_manifest(collection_uri, version).files
    except FileNotFoundError:
        return {MANIFEST: "is missing"}
    except PublishError:
        return {MANIFEST: "is not the record of a version"}
    there = {file.uri.removeprefix(f"{version_uri}/"): file.size for file in list_files(version_uri)}

    def fault(item: tuple[str, StoredFile]) -> str | None:
        path, stored = item
        if path not in there:
            return "is missing"
        if there[path] != stored.n_bytes:
            return f"has {there[path]} bytes in place of {stored.n_bytes}"
        is_same = not deep or sha256_bytes(read_bytes(join(version_uri, path))) == stored.sha256
        return None if is_same else "has other bytes than were written"

    found = zip(files, map_ahead(fault, files.items(), N_AHEAD if deep else 1), strict=True)
    return {path: why for path, why in found if why}


def check_whole(collection_uri: str, version: str) -> None:
    """Check that no file of a version is missing or has another size.

    Raises:
        PublishError: some are; the message names one.
        StorageError: the store failed.
    """
    if faults := faults_of(collection_uri, version):
        path, why = next(iter(faults.items()))
        number = f"{len(faults)} of its files are" if len(faults) > 1 else "a file is"
        raise PublishError(
            f"{join(collection_uri, version)}: readers cannot be shown this version, because {number} missing or damaged: "
            f"{path} {why}; `lensscan publish` makes a whole version of the catalogue"
        )
