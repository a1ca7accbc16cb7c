"""Write the nights that no version holds: one after the other in this process, or several at a time on a Ray cluster."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from uuid import uuid4

from infra.store.copies import put_file, settle
from infra.store.folders import remove_folder
from infra.store.storage import StorageError, is_s3, join, local_path
from scanner.catalogue.known_lenses import KnownLenses
from scanner.catalogue.shown import ShownPlan
from scanner.hats.manifest import Leaf, NightEntry
from scanner.hats.nights import write_night


class WrittenNight(NamedTuple):
    """A night and its leaves, which lie below a folder or prefix of the publisher."""

    label: str
    entry: NightEntry
    leaves: list[Leaf]
    uri: str


class NightWriter(NamedTuple):
    """Writes leaves into a place of the publisher, where they wait for their version."""

    folder: Path
    """Folder on this machine."""
    shared_uri: str
    """Folder or prefix that all nodes of the cluster reach, for this publisher alone."""
    ray_address: str | None = None
    """Cluster; None to write in this process."""

    def write(
        self, catalogue_uri: str, nights: Mapping[str, list[ShownPlan]], known: KnownLenses | None
    ) -> Iterator[WrittenNight]:
        """Write nights, given as plans by label; one night is written in this process.

        Raises:
            ClusterError: the cluster is gone, or its workers die.
            LensscanError: as for `write_night`.
        """
        if self.ray_address is None or len(nights) < 2:
            for label, plans in nights.items():
                yield WrittenNight(label, *write_night(catalogue_uri, label, plans, self.folder, known), str(self.folder))
            return
        # Imported here, because Ray takes longer to import than a small publication takes.
        from infra.ray.cluster import ray_session
        from scanner.hats.night_tasks import nights_on_ray

        with ray_session(self.ray_address):
            yield from nights_on_ray(catalogue_uri, nights, self.shared_uri, known)

    def clear(self) -> None:
        """Remove the prefix on S3; a folder on a disk is the publisher's own. What cannot be removed, the next one removes."""
        if is_s3(self.shared_uri) and self.ray_address is not None:
            with suppress(StorageError):
                remove_folder(self.shared_uri)


def write_shared(
    catalogue_uri: str, label: str, plans: list[ShownPlan], shared_uri: str, known: KnownLenses | None
) -> WrittenNight:
    """Write a night below a folder or prefix that other machines reach, apart from all other tries to write it.

    Raises:
        FileNotFoundError: there is no such folder (any more).
        LensscanError: as for `write_night`.
        StorageError: the store failed.
    """
    own_uri = join(shared_uri, uuid4().hex)
    if not is_s3(own_uri):
        folder = local_path(own_uri)
        # Fails if the publisher has ended and removed its folder.
        folder.mkdir()
        entry, leaves = write_night(catalogue_uri, label, plans, folder, known)
        # The publisher settles what it links, on its own machine.
        settle(own_uri)
        return WrittenNight(label, entry, leaves, own_uri)
    with TemporaryDirectory() as name:
        entry, leaves = write_night(catalogue_uri, label, plans, Path(name), known)
        for leaf in leaves:
            put_file(Path(name, leaf.path), join(own_uri, leaf.path))
    return WrittenNight(label, entry, leaves, own_uri)
