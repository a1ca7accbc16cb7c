"""Read the pixels of some objects of a scan again, from the files that its plan names."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from infra.errors import LensscanError
from scanner.catalogue.plan import Plan
from scanner.catalogue.unit_inputs import planned_ids
from scanner.catalogue.units import Ids, Unit
from scanner.scan.open_unit import open_unit
from scanner.scan.row_selection import RowSelection
from scanner.sources.survey import Survey
from scanner.vocabulary.geometry import Geometry, Stamps
from scanner.vocabulary.rejections import Rejection

_BATCH = 24


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
    """
    ids: list[int] = []
    parts: list[Stamps] = []
    unusable: dict[int, str] = {}
    for unit in plan.units:
        asked = np.array(ids_by_unit.get(unit.unit_id, ()), np.int64)
        if not len(asked):
            continue
        try:
            for object_id, row in _rows(unit, asked, geometry, plan.described):
                if isinstance(row, Rejection):
                    unusable[object_id] = str(row)
                else:
                    ids.append(object_id)
                    parts.append(row)
        except (LensscanError, Rejection) as error:
            unusable |= dict.fromkeys(set(asked.tolist()) - set(ids), str(error))
    stamps = {band: np.stack([part[band] for part in parts]) for band in geometry.grids} if parts else {}
    return PlannedObjects(np.array(ids, np.int64), stamps, unusable)


def together(parts: Sequence[PlannedObjects]) -> PlannedObjects:
    """Return the objects of several plans as one; all have the same geometry."""
    read = [part for part in parts if len(part.object_ids)]
    ids = np.concatenate([np.zeros(0, np.int64), *(part.object_ids for part in read)])
    stamps = {band: np.concatenate([part.stamps[band] for part in read]) for band in (read[0].stamps if read else ())}
    return PlannedObjects(ids, stamps, {i: why for part in parts for i, why in part.unusable.items()})


def _rows(unit: Unit, asked: Ids, geometry: Geometry, survey: Survey) -> Iterator[tuple[int, Stamps | Rejection]]:
    """Yield the asked objects of a unit that its plan scored, with their stamps `[y, x]`."""
    ids = planned_ids(unit, survey)
    scored = ids if unit.selected is None else ids[unit.selected.mask(len(ids))]
    chosen = np.flatnonzero(np.isin(scored, asked))
    selection = RowSelection(read=tuple(chosen.tolist()))
    with closing(open_unit(unit, geometry, _BATCH, selection, survey=survey).batches) as batches:
        for batch in batches:
            for i, row in enumerate(batch.rows):
                yield int(scored[chosen[row]]), {band: images[i] for band, images in batch.stamps.items()}
            for row, rejection in batch.rejected:
                yield int(scored[chosen[row]]), rejection
