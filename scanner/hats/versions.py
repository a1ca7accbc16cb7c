"""List the versions of a collection, show an older one again, and remove those that are not kept."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime

from infra.frozen import Frozen
from infra.store.folders import list_folders, remove_folder
from infra.store.replacement import probe_replacement
from infra.store.storage import StorageError, absolute, join
from scanner.hats.errors import PublishError
from scanner.hats.faults import check_whole, faults_of
from scanner.hats.manifest import Manifest, load_manifest
from scanner.hats.paths import NAME, is_of_publisher
from scanner.hats.pointer import Pointer, read_pointer, swap_pointer


class Version(Frozen):
    """A version of a collection, for people."""

    version: str
    is_current: bool
    """Whether readers see it."""
    created: datetime
    content: str
    """Digest of the rows."""
    n_rows: int
    n_without_position: int
    n_known: int
    """Number of candidates with a known lens nearby."""
    known: str | None
    """Name and version of the table of known lenses."""
    n_leaves: int
    n_bytes: int
    """Size of its leaves; versions share most of them."""
    nights: dict[str, tuple[str, ...]]
    """Ids of the plans that each night shows, newest first."""


def versions_of(collection: str) -> list[Version]:
    """Return the versions of a collection, oldest first, without those whose record is gone.

    Raises:
        PublishError: there is no collection, or a record of it is damaged.
        StorageError: the store failed.
    """
    root = absolute(collection)
    pointer = _pointer(root)
    found = []
    for name in pointer.versions:
        with suppress(FileNotFoundError):
            found.append(_version(load_manifest(root, name), pointer))
    return found


def faults_by_version(collection: str, *, deep: bool = False) -> dict[str, dict[str, str]]:
    """Return what is wrong with the files of each version, oldest first, as `faults_of` does; raises as `versions_of`."""
    root = absolute(collection)
    return {name: faults_of(root, name, deep=deep) for name in _pointer(root).versions}


def roll_back(collection: str, version: str | None = None) -> Version:
    """Make readers see a version again, by default the newest earlier one that has all of its files; none is removed.

    Args:
        collection: Folder or prefix of the collection.
        version: Name of the version, or the first characters of the part after `lens_candidates_`.

    Raises:
        PublishError: there is no such version, or it lacks files; several begin so; or another publisher was faster.
        PlaceError: the store has no conditional writes.
        StorageError: the store failed.
    """
    root = absolute(collection)
    pointer = _pointer(root)
    probe_replacement(root)
    name = _chosen(root, pointer, version)
    check_whole(root, name)
    manifest = load_manifest(root, name)
    if name != pointer.version and not swap_pointer(root, pointer, name, pointer.versions):
        raise PublishError(f"{root}: another publisher replaced the pointer meanwhile; list the versions and try again")
    return _version(manifest, pointer.model_copy(update={"version": name}))


def kept_of(versions: Iterable[str], current: str, keep: int, before: str | None = None) -> tuple[str, ...]:
    """Return the versions to keep, in their order: the current one, the one before, and the newest others, `keep` together.

    Args:
        versions: All versions, oldest first.
        current: Version that readers will see.
        keep: Number of versions to keep.
        before: Version that readers saw until now. Some may have opened it a moment ago, and read it still; after a roll-back,
            it may be the oldest.
    """
    names = list(versions)
    ranked = dict.fromkeys([current, *(name for name in names if name == before), *reversed(names)])
    kept = set(list(ranked)[:keep])
    return tuple(name for name in names if name in kept)


def garbage_in(collection_uri: str, versions: Iterable[str]) -> list[str]:
    """Return the folders of publishers that are not versions: removed ones, and those of publishers that run or were killed.

    Raises:
        StorageError: the store failed.
    """
    return [name for name in list_folders(collection_uri) if is_of_publisher(name) and name not in set(versions)]


def remove_garbage(collection_uri: str, folders: Iterable[str]) -> list[str]:
    """Remove folders that no publisher can promote any more; return those that are gone, the next publisher tries the rest."""
    gone = []
    for name in folders:
        with suppress(StorageError):
            remove_folder(join(collection_uri, name))
            gone.append(name)
    return gone


def _pointer(root: str) -> Pointer:
    pointer = read_pointer(root)
    if pointer is None:
        raise PublishError(f"{root}: holds no collection; is it the folder or prefix given to `lensscan publish`?")
    return pointer


def _chosen(root: str, pointer: Pointer, version: str | None) -> str:
    if version is None:
        older = pointer.versions[: pointer.versions.index(pointer.version)]
        there = next((name for name in reversed(older) if not faults_of(root, name)), None)
        if there is None:
            raise PublishError(f"{root}: holds no version before {pointer.version} that has all of its files")
        return there
    wanted = version.removeprefix(f"{NAME}_")
    found = [name for name in pointer.versions if name.removeprefix(f"{NAME}_").startswith(wanted)]
    if len(found) != 1:
        count = "no version begins" if not found else f"{len(found)} versions begin"
        raise PublishError(f"{root}: {count} with {version!r}; there are {', '.join(pointer.versions)}")
    return found[0]


def _version(manifest: Manifest, pointer: Pointer) -> Version:
    return Version(
        version=manifest.version,
        is_current=manifest.version == pointer.version,
        created=datetime.fromisoformat(manifest.created),
        content=manifest.content,
        n_rows=manifest.n_rows,
        n_without_position=manifest.n_without_position,
        n_known=manifest.n_known,
        known=manifest.known.label if manifest.known else None,
        n_leaves=len(manifest.leaves),
        n_bytes=manifest.n_bytes,
        nights={label: entry.plans for label, entry in manifest.nights.items()},
    )
