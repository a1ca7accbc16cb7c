"""Publish a catalogue as a new version of a HATS collection, which readers see whole or not at all."""

import os
import tempfile
import time
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from infra.errors import LensscanError
from infra.frozen import Frozen
from infra.provenance import canonical_json, sha256_bytes
from infra.read_ahead import map_ahead
from infra.store.copies import copy_file, put_file, settle
from infra.store.files import cannot_write
from infra.store.folders import remove_folder
from infra.store.replacement import probe_replacement, replace
from infra.store.storage import absolute, check_apart, check_folder, is_s3, join, local_path
from scanner.catalogue.known_lenses import KnownLenses, KnownTable
from scanner.catalogue.shown import ShownPlan
from scanner.hats.build import Build, Piece, build
from scanner.hats.errors import PublishError
from scanner.hats.faults import faults_of
from scanner.hats.manifest import Manifest, StoredFile, content_of, load_manifest
from scanner.hats.night_writers import NightWriter
from scanner.hats.nights import nights_of, source_of
from scanner.hats.paths import COMMON, MANIFEST, MOC, PARTITIONS, PROPERTIES, STAGING, version_name
from scanner.hats.pointer import Pointer, read_pointer, swap_pointer
from scanner.hats.properties import encode_partitions, encode_properties, properties_of
from scanner.hats.sky import write_moc
from scanner.hats.versions import garbage_in, kept_of, remove_garbage

KEEP = 7
"""Number of versions that are kept."""
_TRIES = 5
"""Largest number of tries of a publisher that others are faster than."""
_N_PLACED = 16
"""Number of leaves put into a version at a time: over S3, nearly all of their time is waiting."""


class Outcome(StrEnum):
    """The effect of a publication on readers."""

    PROMOTED = "promoted"
    """Readers see a new version."""
    SHOWN_AGAIN = "shown_again"
    """Readers see a version again that was made before and holds these candidates."""
    UNCHANGED = "unchanged"
    """Readers see these candidates already."""


class Publication(Frozen):
    """The result of a publication."""

    version: str
    """The version that readers see."""
    outcome: Outcome
    collection_uri: str
    n_rows: int
    n_without_position: int
    """Number of candidates that are not published, because they have no position."""
    n_known: int
    """Number of candidates with a known lens nearby."""
    known: KnownTable | None
    """Table of known lenses that the candidates are matched with; None if they are not."""
    n_nights: int
    n_leaves: int
    n_leaves_written: int
    mended: tuple[str, ...]
    """Files that the version which readers saw lacked, or held damaged; the version that they see now has them."""
    removed: tuple[str, ...]
    """Folders of older versions, and of publishers that were killed."""
    seconds: float


class _Asked(NamedTuple):
    """A publication as it was asked for."""

    catalogue_uri: str
    root: str
    keep: int
    compact: bool
    known: KnownLenses | None
    ray_address: str | None


def publish(
    catalogue: str,
    collection: str,
    *,
    keep: int = KEEP,
    compact: bool = False,
    known: KnownLenses | None = None,
    ray_address: str | None = None,
) -> Publication:
    """Publish the candidates that readers of a catalogue see; publish nothing if the collection shows them already, whole.

    A version that lacks a file, or holds one of another size, is not shown: its nights are written again.

    The same call after a crash, and the same call twice, are safe. Of publishers at the same time each ends with a version that
    held what the catalogue showed when it began; a reader that opens the pointer sees one of them, whole.

    Args:
        catalogue: Folder or prefix of the catalogue.
        collection: Folder or prefix of the collection, outside the catalogue.
        keep: Number of versions to keep: the new one, the one that readers saw until now, and the newest others. The rest is
            removed after the promotion.
        compact: Merge the leaves of the nights in each partition into one.
        known: Known lenses that the candidates are matched with: with others, a new version is made.
        ray_address: Ray cluster that writes nights side by side; `local` starts a private one; None writes them one after the
            other in this process. All nodes must reach catalogue and collection. The files are the same.

    Raises:
        ClusterError: the cluster cannot be reached, or its workers die.
        PublishError: there is nothing to publish, the places cannot be used, or other publishers were faster each time.
        PlaceError: the store has no conditional writes.
        LensscanError: a file of the catalogue is damaged.
        StorageError: the store failed; publish again.
    """
    start = time.monotonic()
    if keep < 1:
        raise PublishError(f"keep must be 1 or more, got {keep}")
    catalogue_uri, root = checked_roots(catalogue, collection)
    asked = _Asked(catalogue_uri, root, keep, compact, known, ray_address)
    for _ in range(_TRIES):
        if found := _try_once(asked):
            return found.model_copy(update={"seconds": round(time.monotonic() - start, 2)})
    raise PublishError(f"{root}: other publishers were faster {_TRIES} times; publish again when none is running")


def checked_roots(catalogue: str, collection: str) -> tuple[str, str]:
    """Return both roots with absolute paths.

    Raises:
        PublishError: one lies in the other: a pattern of files below the catalogue would find each candidate twice.
        StorageError: the collection is a file.
    """
    roots = absolute(catalogue), absolute(collection)
    check_folder(roots[1])
    check_apart(collection, catalogue, "the catalogue", PublishError)
    return roots


def _try_once(asked: _Asked) -> Publication | None:
    """Publish, or return None if another publisher was faster."""
    root = asked.root
    pointer = read_pointer(root)
    try:
        nights = nights_of(asked.catalogue_uri)
        wanted = {label: source_of(plans, asked.known) for label, plans in nights.items()}
        versions = _versions(root, pointer) if pointer else {}
        faults = cache(partial(faults_of, root))
        mended = tuple(faults(pointer.version)) if pointer else ()
        same = [v for v in versions.values() if v.sources == wanted and (v.is_compact or not asked.compact)]
        same.sort(key=lambda v: pointer is None or v.version != pointer.version)
        if pointer and (whole := next((v for v in same if not faults(v.version)), None)):
            return _show(root, pointer, list(reversed(versions)), whole, asked.keep, mended)
        if not nights:
            raise PublishError(f"{asked.catalogue_uri}: shows no candidates; `lensscan status` shows the state of each plan")
        # The version that shares most nights; among equals, the newest.
        base = max(versions.values(), key=lambda v: len(v.sources.items() & wanted.items()), default=None)
        base = base and base.without(faults(base.version))
        return _publish(asked, pointer, list(reversed(versions)), nights, base, mended)
    except (OSError, LensscanError) as error:
        # Another publisher may have removed the version that this one began from, or this one's own folder.
        if read_pointer(root) != pointer:
            return None
        if isinstance(error, LensscanError) or error.filename is not None:
            raise
        # Arrow does not name the file that it cannot write.
        named = OSError(error.errno, os.strerror(error.errno)) if error.errno else error
        raise cannot_write(tempfile.gettempdir() if is_s3(root) else root, named) from error


def _versions(root: str, pointer: Pointer) -> dict[str, Manifest]:
    """Return the records of the listed versions, newest first, without versions that are gone: these are listed no more."""
    found = {}
    for name in reversed(pointer.versions):
        with suppress(FileNotFoundError):
            found[name] = load_manifest(root, name)
    return found


def _show(
    root: str, pointer: Pointer, listed: list[str], shown: Manifest, keep: int, mended: tuple[str, ...]
) -> Publication | None:
    """Make readers see a version that exists, and remove what is not kept; write nothing if there is nothing to do."""
    kept = kept_of(listed, shown.version, keep, pointer.version)
    garbage = garbage_in(root, kept)
    is_shown = shown.version == pointer.version
    if not is_shown or garbage or kept != pointer.versions:
        probe_replacement(root)
        if not swap_pointer(root, pointer, shown.version, kept):
            return None
    outcome = Outcome.UNCHANGED if is_shown else Outcome.SHOWN_AGAIN
    return _publication(root, shown, outcome, 0, mended, remove_garbage(root, garbage))


def _publish(
    asked: _Asked,
    pointer: Pointer | None,
    listed: list[str],
    nights: dict[str, list[ShownPlan]],
    base: Manifest | None,
    mended: tuple[str, ...],
) -> Publication | None:
    """Write a new version and make readers see it, or return None if another publisher was faster."""
    root = asked.root
    probe_replacement(root)
    if not is_s3(root):
        local_path(root).mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(
            prefix=STAGING, dir=None if is_s3(root) else local_path(root), ignore_cleanup_errors=True
        ) as name,
        ExitStack() as cleanup,
    ):
        folder = Path(name)
        base_uri = join(root, base.version) if base else ""
        writer = NightWriter(folder, join(root, folder.name), asked.ray_address)
        cleanup.callback(writer.clear)
        made = build(asked.catalogue_uri, nights, base, base_uri, writer, compact=asked.compact, known=asked.known)
        manifest = _manifest(made, asked.known)
        if not manifest.leaves:
            raise PublishError(f"{asked.catalogue_uri}: shows no candidate with a position, so there is nothing to publish")
        try:
            _write(root, manifest, made, folder)
            kept = kept_of([*listed, manifest.version], manifest.version, asked.keep, pointer.version if pointer else None)
            # Listed before the swap: what is there by now and is not kept can never be promoted.
            garbage = [found for found in garbage_in(root, kept) if found != folder.name]
        except BaseException:
            with suppress(OSError):
                remove_folder(join(root, manifest.version))
            raise
        # If this fails, the pointer may name the version now or a moment later, so its folder stays: a later swap removes it.
        if not swap_pointer(root, pointer, manifest.version, kept):
            remove_folder(join(root, manifest.version))
            return None
    n_written = sum(piece.is_new for piece in made.pieces)
    return _publication(root, manifest, Outcome.PROMOTED, n_written, mended, remove_garbage(root, garbage))


def _manifest(made: Build, known: KnownLenses | None) -> Manifest:
    leaves = tuple(piece.leaf for piece in made.pieces)
    content, now = content_of(leaves), datetime.now(UTC)
    version = version_name(f"{now:%Y%m%dT%H%M%S%fZ}", content)
    return Manifest(
        version=version,
        created=now.isoformat(),
        content=content,
        known=known.table if known else None,
        nights=made.nights,
        leaves=leaves,
    )


def _write(root: str, manifest: Manifest, made: Build, folder: Path) -> None:
    """Write the files of a version, those last by which readers open it."""
    version_uri = join(root, manifest.version)

    def place(piece: Piece) -> None:
        target = join(version_uri, piece.leaf.path)
        # On S3, the nodes of a cluster have put new leaves into the same store.
        is_here = piece.is_new and not is_s3(piece.uri)
        put_file(Path(piece.uri), target) if is_here else copy_file(piece.uri, target)

    for _ in map_ahead(place, made.pieces, _N_PLACED):
        pass
    sky_fraction = write_moc((entry.footprint for entry in made.nights.values()), folder / MOC)
    schema = made.schema
    properties = encode_properties(properties_of(manifest, schema, sky_fraction), "HATS catalog")
    files = {
        COMMON: _metadata_file(schema),
        MOC: (folder / MOC).read_bytes(),
        PARTITIONS: encode_partitions(manifest),
        **dict.fromkeys(PROPERTIES, properties),
    }
    others = {path: StoredFile(n_bytes=len(data), sha256=sha256_bytes(data)) for path, data in files.items()}
    record = canonical_json(manifest.model_copy(update={"others": others}).model_dump())
    for path, data in {MANIFEST: record, **files}.items():
        replace(join(version_uri, path), data)
    settle(version_uri)


def _metadata_file(schema: pa.Schema) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_metadata(schema, sink)
    return sink.getvalue().to_pybytes()


def _publication(
    root: str, manifest: Manifest, outcome: Outcome, n_written: int, mended: tuple[str, ...], removed: list[str]
) -> Publication:
    return Publication(
        version=manifest.version,
        outcome=outcome,
        collection_uri=root,
        n_rows=manifest.n_rows,
        n_without_position=manifest.n_without_position,
        n_known=manifest.n_known,
        known=manifest.known,
        n_nights=len(manifest.nights),
        n_leaves=len(manifest.leaves),
        n_leaves_written=n_written,
        mended=mended,
        removed=tuple(removed),
        seconds=0,
    )
