"""Read the rows of a catalogue that have embeddings, and find those that the networks see most alike."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from infra.errors import LensscanError
from infra.progress import Progress, no_progress
from scanner.catalogue.columns import EMBEDDING
from scanner.catalogue.embeddings import embedding_array
from scanner.catalogue.plan import load_plan
from scanner.catalogue.shown import ShownPlan, shown_plans
from scanner.catalogue.units import PlanError
from scanner.catalogue.visible import selected_plans
from scanner.catalogue.wanted import EVERY_CANDIDATE, Wanted
from scanner.review.all_rows import all_rows

LIKE_COLUMNS = ("object_id", "candidate_id", "ra", "dec", "tile", "night", "p_lens", "p_compound", "subclass", "anomaly")
"""Columns of rows that are like another."""
DISTANCE = "distance"
DISTANCE_FIELD = pa.field(
    DISTANCE,
    pa.float32(),
    metadata={
        "unit": "",
        "ucd": "stat.value",
        "description": "1 minus the cosine of the embeddings: 0 if alike, at most 2",
    },
)


class EmbeddingsError(LensscanError):
    """A catalogue has no embeddings, or none of the object that is named."""


class Near(NamedTuple):
    """The rows most like another, nearest first."""

    rows: NDArray[np.int64]
    distances: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class EmbeddedRows:
    """Rows whose embeddings have the same axes."""

    table: pa.Table
    """`LIKE_COLUMNS`, in no order."""
    embeddings: NDArray[np.float32]
    """`[row, axis]`."""

    def row_of(self, name: str) -> int | None:
        """Return the row of the object with an `object_id` or `candidate_id`, of the newest night if several have it."""
        names = (self.table["object_id"].cast(pa.string()), self.table["candidate_id"])
        wanted = pa.array([name], pa.string())
        rows = np.flatnonzero(np.logical_or(*(pc.is_in(of, wanted).to_numpy() for of in names)))
        nights = self.table["night"].take(pa.array(rows)).to_pylist()
        return int(max(zip(nights, rows, strict=True))[1]) if len(rows) else None

    def with_row(self, other: "EmbeddedRows", row: int) -> "EmbeddedRows":
        """Return these rows and, at the end, a row of others whose embeddings have the same axes."""
        table = pa.concat_tables([self.table, other.table.slice(row, 1)])
        return EmbeddedRows(table, np.concatenate([self.embeddings, other.embeddings[row : row + 1]]))

    def near(self, row: int, most: int, among: NDArray[np.int64] | None = None) -> Near:
        """Return the rows most like a row, of at most `most` other objects, each once; with `among`, of these rows alone."""
        # Imported here, because it takes a second.
        from sklearn.neighbors import NearestNeighbors

        ids = self.table["object_id"].to_numpy()
        others = np.arange(len(self.embeddings)) if among is None else among
        # An object that is in several nights is most like itself.
        others = others[ids[others] != ids[row]]
        if not most or not len(others):
            return Near(np.empty(0, np.int64), np.empty(0, np.float32))
        rows_per_object = int(np.unique(ids[others], return_counts=True)[1].max())
        n = min(most * rows_per_object, len(others))
        index = NearestNeighbors(n_neighbors=n, metric="cosine", algorithm="brute").fit(self.embeddings[others])
        distances, found = index.kneighbors(self.embeddings[row : row + 1])
        _, nearest = np.unique(ids[others[found[0]]], return_index=True)
        kept = np.sort(nearest)[:most]
        return Near(others[found[0][kept]], np.asarray(distances[0][kept], np.float32))

    def like(self, row: int, most: int, wanted: Wanted = EVERY_CANDIDATE) -> pa.Table:
        """Return the rows most like a row that meet the conditions of `wanted`, nearest first, with their distance.

        Of each of at most `most` other objects there is one row, the nearest.
        """
        near = self.near(row, most, wanted.rows(self.table))
        return self.table.take(pa.array(near.rows)).append_column(DISTANCE_FIELD, pa.array(near.distances))


def read_embedded(root_uri: str, wanted: Wanted = EVERY_CANDIDATE, progress: Progress = no_progress) -> list[EmbeddedRows]:
    """Read the rows with embeddings of a catalogue, each object once in a night; rows of one reference lie together.

    A plan whose file cannot be read, such as one of another version of lensscan, has no rows here.

    Args:
        root_uri: The catalogue's root.
        wanted: Night and plans to read; other conditions have no effect.
        progress: Called with (units read, units in all).

    Raises:
        EmbeddingsError: no row has an embedding.
        VisibleError: no scan is complete, or a file cannot be read.
        PlanError: no plan, or more than one, begins with `wanted.plan`, or this plan cannot be read.
        StorageError: the store failed.
    """
    return list(_wanted_by_reference(root_uri, wanted, progress, skips_unreadable=True).values())


def most_like(root_uri: str, name: str, most: int, wanted: Wanted = EVERY_CANDIDATE) -> pa.Table:
    """Return at most `most` objects of a catalogue like one of them, nearest first, candidates or not.

    Args:
        root_uri: The catalogue's root.
        name: `object_id` or `candidate_id` of the object.
        most: Largest number of rows.
        wanted: Conditions on the rows. Where its night or plan does not hold the object itself, its row comes from another
            night, the newest.

    Raises:
        EmbeddingsError: no row has an embedding, or none of this object, or none of the rows can be compared with it.
        LensscanError: the catalogue cannot be read.
    """
    found = _wanted_by_reference(root_uri, wanted)
    if all(rows.row_of(name) is None for rows in found.values()) and (wanted.night is not None or wanted.plan is not None):
        shown = (entry for plans in shown_plans(root_uri).values() for entry in plans)
        found = _with_object(found, _by_reference(root_uri, shown, no_progress), name)
    rows, row = rows_with(found.values(), name)
    return rows.like(row, most, wanted)


def rows_with(found: Iterable[EmbeddedRows], name: str) -> tuple[EmbeddedRows, int]:
    """Return the rows that hold an object, and the number of its row.

    Args:
        found: The rows of a catalogue.
        name: `object_id` or `candidate_id`.

    Raises:
        EmbeddingsError: no row of this object has an embedding.
    """
    for rows in found:
        row = rows.row_of(name)
        if row is not None:
            return rows, row
    raise EmbeddingsError(f"no object_id or candidate_id with an embedding is {name!r}; a first stage excludes most objects")


def _wanted_by_reference(
    root_uri: str, wanted: Wanted, progress: Progress = no_progress, *, skips_unreadable: bool = False
) -> dict[str, EmbeddedRows]:
    """Read the rows of the wanted night and plans, by the digest of their reference; errors as for `read_embedded`."""
    plans = selected_plans(root_uri, night=wanted.night, plan=wanted.plan, all_plans=wanted.all_plans)
    found = _by_reference(root_uri, plans, progress, skips_unreadable=skips_unreadable)
    if not any(len(rows.embeddings) for rows in found.values()):
        raise EmbeddingsError(
            f"{root_uri}: no row has an embedding; scan it with an ensemble that has a reference (`lensscan models reference`)"
        )
    return found


def _by_reference(
    root_uri: str, plans: Iterable[ShownPlan], progress: Progress, *, skips_unreadable: bool = False
) -> dict[str, EmbeddedRows]:
    """Read the rows of plans, by the digest of their reference; leave out plans that cannot be read, if that is asked."""
    by_reference: dict[str, list[ShownPlan]] = {}
    for shown in plans:
        try:
            reference = load_plan(root_uri, shown.plan_id).config.reference_sha256
        except PlanError:
            if not skips_unreadable:
                raise
            continue
        if reference is not None:
            by_reference.setdefault(reference, []).append(shown)
    return {reference: _read(root_uri, of_reference, progress) for reference, of_reference in by_reference.items()}


def _with_object(
    found: Mapping[str, EmbeddedRows], elsewhere: Mapping[str, EmbeddedRows], name: str
) -> dict[str, EmbeddedRows]:
    """Return rows by reference, with the row of an object from elsewhere among those of its reference.

    Raises:
        EmbeddingsError: the object has an embedding, but of another reference than all rows.
    """
    places = {reference: row for reference, rows in elsewhere.items() if (row := rows.row_of(name)) is not None}
    if places and not places.keys() & found.keys():
        raise EmbeddingsError(f"the embedding of {name!r} has another reference than those of the night or plan that is wanted")
    return {
        reference: rows.with_row(elsewhere[reference], places[reference]) if reference in places else rows
        for reference, rows in found.items()
    }


def _read(root_uri: str, plans: list[ShownPlan], progress: Progress) -> EmbeddedRows:
    tables, embeddings = [], []
    for table in all_rows(root_uri, plans, (*LIKE_COLUMNS, EMBEDDING.name), progress):
        seen = table.filter(table[EMBEDDING.name].is_valid())
        tables.append(seen.select(LIKE_COLUMNS))
        embeddings.append(embedding_array(seen))
    return EmbeddedRows(pa.concat_tables(tables), np.concatenate(embeddings))
