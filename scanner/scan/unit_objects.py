"""Read some objects of a unit by their ids, with the pixels that a scan of the unit scores."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from scanner.catalogue.unit_inputs import planned_ids
from scanner.catalogue.units import Ids, Unit
from scanner.scan.open_unit import open_unit
from scanner.scan.row_selection import RowSelection
from scanner.sources.batches import Row
from scanner.sources.cutouts import Cutout
from scanner.sources.survey import EUCLID_MER, Survey
from scanner.vocabulary.geometry import Geometry

_BATCH = 24


@dataclass(frozen=True)
class UnitObject:
    """An object with its pixels, or with the reason why it has none."""

    object_id: int
    row: Row
    zero_points_ab_mag: dict[str, float]
    """AB magnitude of 1 ADU/s by band; empty for an object without pixels."""


def read_unit_objects(unit: Unit, object_ids: Ids, geometry: Geometry, survey: Survey = EUCLID_MER) -> Iterator[UnitObject]:
    """Yield those of the objects `[n]` that the unit holds and its plan scores, in no order.

    Raises:
        InputChangedError: a file is missing or changed since the plan was made.
        LensscanError: the unit cannot be read.
        Rejection: the unit is damaged, which rejects all of its objects.
    """
    scored = planned_ids(unit, survey)
    if unit.selected is not None:
        scored = scored[unit.selected.mask(len(scored))]
    chosen = np.flatnonzero(np.isin(scored, object_ids))
    if not len(chosen):
        return
    selection = RowSelection(read=tuple(chosen.tolist()))
    with closing(open_unit(unit, geometry, _BATCH, selection, survey=survey).batches) as batches:
        for batch in batches:
            for i, row in enumerate(batch.rows):
                stamps = {band: images[i] for band, images in batch.stamps.items()}
                cutout = Cutout(stamps, batch.notes[i])
                yield UnitObject(int(scored[chosen[row]]), cutout, dict(batch.zero_points_ab_mag))
            for row, rejection in batch.rejected:
                yield UnitObject(int(scored[chosen[row]]), rejection, {})
