"""The record of a version: its nights, the plans that they show, and the rows of every leaf."""

from collections.abc import Container, Mapping

from pydantic import Field, ValidationError

from infra.frozen import Frozen
from infra.provenance import digest
from infra.store.storage import join, read_bytes
from scanner.catalogue.carried import CarriedColumn
from scanner.catalogue.known_lenses import KnownTable
from scanner.hats.errors import PublishError
from scanner.hats.paths import MANIFEST, leaf_path


class Part(Frozen):
    """The rows of one night in a leaf."""

    night: str
    """Label of the night; `undated` for scans without a night."""
    n_rows: int = Field(ge=1)
    sha256: str
    """Digest of the rows, whatever file holds them."""


class StoredFile(Frozen):
    """Size and digest of a file, so that a check finds whether it is there as it was written."""

    n_bytes: int
    sha256: str


class Leaf(StoredFile):
    """A Parquet file of a version; it never changes, and later versions hold the same file."""

    pixel: int
    name: str
    parts: tuple[Part, ...]
    """The nights of its rows, in the order of their labels."""

    @property
    def path(self) -> str:
        return leaf_path(self.pixel, self.name)

    @property
    def n_rows(self) -> int:
        return sum(part.n_rows for part in self.parts)


class NightEntry(Frozen):
    """The part of a version that is of one night."""

    source: str
    """Digest of all that its rows follow from: equal for equal rows."""
    plans: tuple[str, ...]
    """Ids of the plans that the night shows, newest first."""
    networks: tuple[str, ...]
    has_maps: bool
    carried: tuple[CarriedColumn, ...] = ()
    """Columns of the tiles' catalogues in its leaves."""
    n_rows: int
    n_without_position: int
    """Number of candidates that are not published, because they have no position."""
    n_known: int = 0
    """Number of candidates with a known lens nearby."""
    footprint: str
    """Area of the scored objects: a MOC in its ASCII form, empty for none."""


class Manifest(Frozen):
    """A version of a collection."""

    version: str
    created: str
    """Time of its making, UTC."""
    content: str
    """Digest of the rows: equal for equal rows, whenever and in whatever order their nights were published."""
    known: KnownTable | None = None
    """Table of known lenses that the candidates of all nights are matched with; None if they are not."""
    nights: dict[str, NightEntry]
    leaves: tuple[Leaf, ...]
    others: Mapping[str, StoredFile] = Field(default_factory=dict)
    """Files by which readers open the version, by their path in it; this record is none of them."""

    @property
    def files(self) -> dict[str, StoredFile]:
        """All files of the version but this record, by their path in it."""
        return {**{leaf.path: leaf for leaf in self.leaves}, **self.others}

    def without(self, paths: Container[str]) -> "Manifest":
        """Return the version without the leaves at these paths, and without the nights of which they hold rows."""
        lost = {part.night for leaf in self.leaves if leaf.path in paths for part in leaf.parts}
        nights = {label: entry for label, entry in self.nights.items() if label not in lost}
        return self.model_copy(update={"nights": nights, "leaves": tuple(x for x in self.leaves if x.path not in paths)})

    @property
    def sources(self) -> dict[str, str]:
        return {night: entry.source for night, entry in self.nights.items()}

    @property
    def n_rows(self) -> int:
        return sum(leaf.n_rows for leaf in self.leaves)

    @property
    def n_without_position(self) -> int:
        return sum(entry.n_without_position for entry in self.nights.values())

    @property
    def n_known(self) -> int:
        return sum(entry.n_known for entry in self.nights.values())

    @property
    def n_bytes(self) -> int:
        return sum(leaf.n_bytes for leaf in self.leaves)

    @property
    def pixels(self) -> list[int]:
        return sorted({leaf.pixel for leaf in self.leaves})

    @property
    def is_compact(self) -> bool:
        """Return whether every pixel has one leaf."""
        return len(self.pixels) == len(self.leaves)


def content_of(leaves: tuple[Leaf, ...]) -> str:
    """Return the digest of all rows, which does not depend on how the nights of a pixel are put into leaves."""
    parts = [[leaf.pixel, part.night, part.n_rows, part.sha256] for leaf in leaves for part in leaf.parts]
    return digest(sorted(parts))


def load_manifest(collection_uri: str, name: str) -> Manifest:
    """Read the record of a version.

    Raises:
        FileNotFoundError: there is no such version.
        PublishError: the record is damaged.
    """
    uri = join(collection_uri, name, MANIFEST)
    try:
        return Manifest.model_validate_json(read_bytes(uri))
    except ValidationError as error:
        raise PublishError(
            f"{uri}: not the record of a version: {error.errors()[0]['msg']}; publish into another collection"
        ) from error
