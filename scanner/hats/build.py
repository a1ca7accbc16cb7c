"""Decide which leaves a new version shares with an older one, and write the others."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from infra.store.storage import join, open_read
from scanner.catalogue.carried import joined_columns
from scanner.catalogue.known_lenses import KnownLenses
from scanner.catalogue.shown import ShownPlan
from scanner.hats.leaves import leaf_schema, merged_leaf
from scanner.hats.manifest import Leaf, Manifest, NightEntry
from scanner.hats.night_writers import NightWriter
from scanner.hats.nights import source_of


class Piece(NamedTuple):
    """A leaf of a new version, and the file that already holds it."""

    leaf: Leaf
    uri: str
    is_new: bool
    """Whether the file lies in a folder or prefix of the publisher, not in a version."""


class Build(NamedTuple):
    """The nights and the leaves of a new version."""

    nights: dict[str, NightEntry]
    pieces: list[Piece]

    @property
    def schema(self) -> pa.Schema:
        """Columns of all leaves together."""
        return schema_of(self.nights.values())


def build(
    catalogue_uri: str,
    nights: dict[str, list[ShownPlan]],
    base: Manifest | None,
    base_uri: str,
    writer: NightWriter,
    *,
    compact: bool,
    known: KnownLenses | None = None,
) -> Build:
    """Write the leaves of new and changed nights; those of other nights are the leaves of `base`.

    Args:
        catalogue_uri: Root of the catalogue.
        nights: Plans that each night shows, by its label.
        base: A version that may hold some of the nights already.
        base_uri: Folder or prefix of this version.
        writer: Writes leaves that no version holds.
        compact: Merge the leaves of a partition into one.
        known: Known lenses that rows are matched with.

    Raises:
        FileNotFoundError: `base` was removed meanwhile.
        LensscanError: as for `write_night`.
    """
    old = base.nights if base else {}
    kept = {
        label: old[label] for label, plans in nights.items() if label in old and old[label].source == source_of(plans, known)
    }
    entries, pieces = dict(kept), []
    for leaf in base.leaves if base else ():
        found = Piece(leaf, join(base_uri, leaf.path), is_new=False)
        of_kept = [part.night for part in leaf.parts if part.night in kept]
        if len(of_kept) == len(leaf.parts):
            pieces.append(found)
        elif of_kept:
            pieces.append(_merged([found], of_kept, kept, writer.folder / "kept"))
    changed = {label: plans for label, plans in nights.items() if label not in kept}
    for night in writer.write(catalogue_uri, changed, known):
        entries[night.label] = night.entry
        pieces += [Piece(leaf, join(night.uri, leaf.path), is_new=True) for leaf in night.leaves]
    if compact:
        pieces = _one_a_pixel(pieces, entries, writer.folder / "merged")
    return Build(dict(sorted(entries.items())), sorted(pieces, key=lambda piece: (piece.leaf.pixel, piece.leaf.name)))


def schema_of(entries: Iterable[NightEntry]) -> pa.Schema:
    """Return the columns of some nights together."""
    found = list(entries)
    networks = dict.fromkeys(name for entry in found for name in entry.networks)
    carried = joined_columns(column for entry in found for column in entry.carried)
    return leaf_schema(networks, maps=any(entry.has_maps for entry in found), carried=carried)


def _one_a_pixel(pieces: list[Piece], entries: dict[str, NightEntry], folder: Path) -> list[Piece]:
    of_pixel: dict[int, list[Piece]] = defaultdict(list)
    for piece in pieces:
        of_pixel[piece.leaf.pixel].append(piece)
    return [found[0] if len(found) == 1 else _merged(found, entries, entries, folder) for found in of_pixel.values()]


def _merged(pieces: list[Piece], nights: Iterable[str], entries: dict[str, NightEntry], folder: Path) -> Piece:
    """Return one leaf with the rows of some nights that leaves of one pixel hold."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = set(nights)
    held = sorted({part.night for piece in pieces for part in piece.leaf.parts} & wanted)
    leaf = merged_leaf(_opened(pieces), held, schema_of(entries[night] for night in held), folder)
    return Piece(leaf, str(folder / leaf.path), is_new=True)


def _opened(pieces: Iterable[Piece]) -> Iterator[tuple[Leaf, pq.ParquetFile]]:
    for piece in pieces:
        with open_read(piece.uri) as source, pq.ParquetFile(source, page_checksum_verification=True) as file:
            yield piece.leaf, file
