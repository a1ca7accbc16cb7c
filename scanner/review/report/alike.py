"""The objects most like the best candidates, for the page of a report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from scanner.catalogue.wanted import Wanted
from scanner.review.embeddings.rows import EmbeddedRows, EmbeddingsError, read_embedded
from scanner.vocabulary.probability_text import probability_text

N_BEST, N_ALIKE = 12, 5
"""Number of candidates, the best of the list, and of the objects that are named for each."""


@dataclass(frozen=True)
class AlikeObject:
    """An object that is like a candidate; every text may come from a stranger's file."""

    name: str
    number: int | None
    """Place in the list of the page; None for one that is not listed."""
    p_lens: str
    kind: str
    distance: float


def alike_of(root_uri: str, rows: pa.Table, wanted: Wanted) -> list[tuple[AlikeObject, ...]]:
    """Return the objects most like each of the best candidates, nearest first; an empty list if there are no embeddings.

    Objects of a plan whose file cannot be read, such as one of another version of lensscan, are left out.

    Args:
        root_uri: The catalogue's root.
        rows: Candidates in the order of the list.
        wanted: Night and plans in which to look.

    Raises:
        LensscanError: the catalogue cannot be read.
    """
    best = rows.slice(0, N_BEST)
    if not best.num_rows or "anomaly" not in rows.column_names or not rows["anomaly"].is_valid().to_numpy().any():
        return []
    try:
        found = read_embedded(root_uri, wanted)
    except EmbeddingsError:
        return []
    numbers = {object_id: i + 1 for i, object_id in reversed(list(enumerate(rows["object_id"].to_pylist())))}
    return [_alike(found, object_id, numbers) for object_id in best["object_id"].to_pylist()]


def _alike(found: Sequence[EmbeddedRows], object_id: int, numbers: Mapping[int, int]) -> tuple[AlikeObject, ...]:
    for rows in found:
        row = rows.row_of(str(object_id))
        if row is None:
            continue
        near = rows.near(row, N_ALIKE)
        table = rows.table.take(pa.array(near.rows)).to_pylist()
        return tuple(
            _object(other, numbers.get(other["object_id"]), distance)
            for other, distance in zip(table, near.distances.tolist(), strict=True)
        )
    return ()


def _object(row: Mapping[str, Any], number: int | None, distance: float) -> AlikeObject:
    name = str(row["candidate_id"] or f"object {row['object_id']}")
    return AlikeObject(name, number, probability_text(row["p_lens"], 4), str(row["subclass"] or "").replace("_", " "), distance)
