"""`lensscan train --with-grades`: turn the graded objects of a catalogue into shards, read from the files that were scanned."""

from collections import defaultdict
from pathlib import Path
from typing import Any

from infra.store.storage import absolute
from scanner.catalogue.plan import load_plan
from scanner.catalogue.query import query
from scanner.review.votes.graded import graded_objects
from scanner.scan.planned_objects import read_planned, together
from scanner.vocabulary.geometry import GEOMETRIES
from training.errors import TrainingError
from training.graded import GradedObject, GradedShards, LeftOut, write_graded


def graded_shards(catalogue: str, geometry: str, folder: Path) -> GradedShards:
    """Write the graded objects of a catalogue, with their pixels in a geometry, into a folder of shards.

    Raises:
        TrainingError: there are no grades, graders agree on no object, or no pixels can be read.
        LensscanError: a file of the catalogue cannot be read, or the store failed.
    """
    root = absolute(catalogue)
    graded = {row["object_id"]: row for row in graded_objects(root).to_pylist()}
    if not graded:
        raise TrainingError(f"{catalogue}: holds no grades; give some with `lensscan vet {catalogue}`")
    parts = [
        read_planned(load_plan(root, plan_id), by_unit, GEOMETRIES[geometry])
        for plan_id, by_unit in _places(root, list(graded)).items()
    ]
    found = together(parts)
    reason = next(iter(found.unusable.values()), "no scan lists them")
    if not len(found.object_ids):
        raise TrainingError(f"{catalogue}: the pixels of the graded objects cannot be read: {reason}")
    n_left_out = len(graded) - len(found.object_ids)
    left_out = LeftOut(n_objects=n_left_out, first_reason=reason) if n_left_out else None
    return write_graded([_object(graded[i]) for i in found.object_ids.tolist()], found.stamps, geometry, folder, left_out)


def _places(root: str, ids: list[int]) -> dict[str, dict[str, list[int]]]:
    """Return the ids by plan and unit; an object of several nights is taken from the newest that scored it."""
    listed = ", ".join(map(str, ids))
    # A night that skipped or rejected an object has no pixels of it, and a scan without a night is older than any other.
    order = "status = 'scored', night NULLS FIRST"
    rows = query(root, sql=f"SELECT object_id, plan_id, tile FROM scores WHERE object_id IN ({listed}) ORDER BY {order}")  # noqa: S608
    newest = {row["object_id"]: row for row in rows.to_pylist()}
    places: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for object_id, row in newest.items():
        places[row["plan_id"]][row["tile"]].append(object_id)
    return places


def _object(row: dict[str, Any]) -> GradedObject:
    return GradedObject(
        object_id=row["object_id"],
        p_graded=row["p_graded"],
        is_compound=2 * row["n_compound"] >= row["n_votes"] > 0,
    )
