"""Read the pixels of some objects of a scan again, from the files that its plan names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scanner.catalogue.plan import Plan
from scanner.scan.unit_objects import read_unit_objects
from scanner.scan.unusable import UNUSABLE, why_unusable
from scanner.vocabulary.geometry import Geometry, Stamps
from scanner.vocabulary.rejections import Rejection


@dataclass(frozen=True)
class PlannedObjects:
    """Objects whose pixels could be read, and the reasons of the others."""

    object_ids: NDArray[np.int64]
    """`[object]`."""
    stamps: Stamps
    """Band to `[object, y, x]`, in the geometry asked for."""
    unusable: Mapping[int, str]
    """Reason by object_id."""


def read_planned(plan: Plan, ids_by_unit: Mapping[str, Sequence[int]], geometry: Geometry) -> PlannedObjects:
    """Read objects of a plan in the order of its units, then of their files.

    Args:
        plan: Plan of a scan.
        ids_by_unit: Different object ids by the unit that holds them; the other units are not read.
        geometry: Geometry of the stamps.

    Returns:
        The objects. A unit whose files are gone, changed or damaged makes its objects unusable, not the others.

    Raises:
        StorageError: the store failed, so that another try may read more objects.
    """
    ids: list[int] = []
    parts: list[Stamps] = []
    unusable: dict[int, str] = {}
    for unit in plan.units:
        asked = np.array(ids_by_unit.get(unit.unit_id, ()), np.int64)
        if not len(asked):
            continue
        try:
            # Read to the end first: damage that only the end shows rejects all objects of the unit.
            read = list(read_unit_objects(unit, asked, geometry, plan.described))
        except (*UNUSABLE, Rejection) as error:
            unusable |= dict.fromkeys(asked.tolist(), why_unusable(error))
            continue
        for found in read:
            if isinstance(found.row, Rejection):
                unusable[found.object_id] = why_unusable(found.row)
            else:
                ids.append(found.object_id)
                parts.append(found.row.stamps)
    stamps = {band: np.stack([part[band] for part in parts]) for band in geometry.grids} if parts else {}
    return PlannedObjects(np.array(ids, np.int64), stamps, unusable)


def together(parts: Sequence[PlannedObjects]) -> PlannedObjects:
    """Return the objects of several plans as one; all have the same geometry."""
    read = [part for part in parts if len(part.object_ids)]
    ids = np.concatenate([np.zeros(0, np.int64), *(part.object_ids for part in read)])
    stamps = {band: np.concatenate([part.stamps[band] for part in read]) for band in (read[0].stamps if read else ())}
    return PlannedObjects(ids, stamps, {i: why for part in parts for i, why in part.unusable.items()})
