"""Choose the candidates that a report shows: the best of all, each object once, whatever nights and plans hold it."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from scanner.catalogue.columns import KNOWN_COLUMNS
from scanner.catalogue.known_lenses import KnownLenses
from scanner.catalogue.query import query
from scanner.catalogue.wanted import Wanted
from scanner.review.votes.graded import graded_objects, with_grades

MOST_DOTS = 3000
"""Largest number of candidates outside the list that a map shows, the best."""


@dataclass(frozen=True)
class Listed:
    """The candidates of a report."""

    rows: pa.Table
    """The best, each object once, best first, with `KNOWN_COLUMNS` if a table of known lenses was given."""
    nights: tuple[tuple[str, ...], ...]
    """Nights in which each object of `rows` is a candidate."""
    n_objects: int
    """Number of all candidates, each object once."""
    n_rows: int
    """Number of all rows of candidates: an object has one in each night."""
    others: tuple[NDArray[np.float64], NDArray[np.float64]]
    """RA and Dec, `[n]` each, of the best that are not in `rows`."""

    @classmethod
    def of(cls, root_uri: str, wanted: Wanted, top: int, known: KnownLenses | None = None) -> Self:
        """Read the candidates that a caller wants, and list the best `top` objects; `wanted.limit` has no effect.

        If the catalogue has votes, the rows have the columns of grades.

        Raises:
            LensscanError: as `query` and `graded_objects`.
        """
        rows, graded = query(root_uri, replace(wanted, limit=None)), graded_objects(root_uri)
        return cls.chosen(with_grades(rows, graded) if graded.num_rows else rows, top, known)

    @classmethod
    def chosen(cls, rows: pa.Table, top: int, known: KnownLenses | None = None) -> Self:
        """List the best `top` objects of rows that are sorted best first."""
        first = first_rows(rows["object_id"].to_numpy())
        listed, rest = rows.take(pa.array(first[:top])), rows.select(["ra", "dec"]).take(pa.array(first[top : top + MOST_DOTS]))
        ra, dec = (rest[name].cast(pa.float64()).to_numpy() for name in ("ra", "dec"))
        nights = _nights_of(rows, listed["object_id"])
        return cls(listed if known is None else with_known(listed, known), nights, len(first), rows.num_rows, (ra, dec))


def first_rows(object_ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number of the first row of each object, ascending."""
    _, first = np.unique(object_ids, return_index=True)
    return np.sort(first)


def with_known(rows: pa.Table, known: KnownLenses) -> pa.Table:
    """Append the nearest known lens of each row; columns of that name that the rows have already are replaced."""
    ra, dec = (rows[name].cast(pa.float64()).to_numpy() for name in ("ra", "dec"))
    rows = rows.drop_columns([column.name for column in KNOWN_COLUMNS if column.name in rows.column_names])
    found = known.columns_of(ra, dec)
    for column in KNOWN_COLUMNS:
        rows = rows.append_column(column.field(), found[column.name].cast(column.type))
    return rows


def _nights_of(rows: pa.Table, object_ids: pa.ChunkedArray) -> tuple[tuple[str, ...], ...]:
    held = rows.select(["object_id", "night"]).filter(pc.is_in(rows["object_id"], object_ids.combine_chunks()))
    nights: dict[int, set[str]] = {}
    for object_id, night in zip(held["object_id"].to_pylist(), held["night"].to_pylist(), strict=True):
        nights.setdefault(object_id, set()).add(night)
    return tuple(tuple(sorted(nights[object_id])) for object_id in object_ids.to_pylist())
