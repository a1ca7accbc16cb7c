"""Choose objects of a night and measure them on their stamps: the same objects whenever and wherever the night is measured."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from infra.progress import Progress, no_progress
from infra.store.storage import open_read
from scanner.catalogue.outcomes import SCORED
from scanner.catalogue.plan import Plan
from scanner.catalogue.units import Ids, Unit
from scanner.quality.objects import measure_objects
from scanner.scan.unit_objects import UnitObject, read_unit_objects
from scanner.scan.unusable import UNUSABLE, why_unusable
from scanner.sources.cutouts import Cutout
from scanner.vocabulary.geometry import Geometry
from scanner.vocabulary.rejections import Rejection

MOST_UNITS, OBJECTS_PER_UNIT = 4, 300
"""Number of tiles that are read again, and of objects in each: the statistical error of a median is then a few percent."""
_BATCH = 64
_PADDED = "padded"
"""First word of the note of a stamp that reaches beyond its image."""

Columns = dict[str, NDArray[np.float64]]


class Sample(NamedTuple):
    """Measurements of some objects of a plan."""

    columns: Columns
    """Quantities by name, `[n]` each."""
    n_chosen: int
    """Number of objects that were chosen and whose stamps are not padded; one that cannot be read again has no row."""
    is_whole: bool
    """Whether the files of all units could be read; false if one is gone, changed or damaged."""


def chosen_units(units: Sequence[Unit], most: int = MOST_UNITS) -> list[Unit]:
    """Return some units, by the digest of their names: other nights with other tiles choose anew, and no order matters."""
    return sorted(units, key=lambda unit: hashlib.sha256(unit.unit_id.encode()).digest())[:most]


def chosen_ids(object_ids: Ids, most: int = OBJECTS_PER_UNIT) -> Ids:
    """Return some of the ids `[n]`, by their digests, sorted."""
    ordered = sorted(object_ids.tolist(), key=lambda i: hashlib.sha256(str(i).encode()).digest())
    return np.array(sorted(ordered[:most]), np.int64)


def scored_ids(unit_uri: str) -> Ids:
    """Return the ids of the scored rows of a unit file, `[n]`."""
    with open_read(unit_uri) as source:
        rows = pq.read_table(source, columns=["object_id", "status"], partitioning=None)
    return np.asarray(rows.filter(pc.equal(rows["status"], SCORED))["object_id"].to_numpy())


def measure_sample(plan: Plan, unit_uris: Mapping[str, str], geometry: Geometry, progress: Progress = no_progress) -> Sample:
    """Measure some objects of a plan.

    Args:
        plan: The plan.
        unit_uris: URI of the file of each of its units that has scored rows.
        geometry: Geometry of the stamps.
        progress: Called with the numbers of units done and of all.

    Raises:
        StorageError: the store failed, so that another try may read more objects.
        WcsProcessError: the process that locates objects does not start or was killed; another try may succeed.
    """
    parts: list[Columns] = []
    n_chosen, is_whole = 0, True
    units = chosen_units([unit for unit in plan.units if unit.unit_id in unit_uris])
    for done, unit in enumerate(units):
        progress(done, len(units))
        ids = chosen_ids(scored_ids(unit_uris[unit.unit_id]))
        n_chosen += len(ids)
        try:
            found, n_padded = _measured(unit, ids, geometry, plan)
            parts += found
            n_chosen -= n_padded
        except (*UNUSABLE, Rejection) as error:
            # The gate counts the objects of a tile that is damaged or gone; it does not count those that the store refused.
            why_unusable(error)
            is_whole = False
    progress(len(units), len(units))
    names = list(parts[0]) if parts else []
    return Sample({name: np.concatenate([part[name] for part in parts]) for name in names}, n_chosen, is_whole)


def _measured(unit: Unit, ids: Ids, geometry: Geometry, plan: Plan) -> tuple[list[Columns], int]:
    """Return the measurements of the objects of a unit, part by part, and the number of those whose stamps are padded."""
    parts: list[Columns] = []
    waiting: list[UnitObject] = []
    n_padded = 0

    def measure() -> None:
        if waiting:
            rows = [found.row for found in waiting if isinstance(found.row, Cutout)]
            stamps = {band: np.stack([row.stamps[band] for row in rows]) for band in geometry.grids}
            parts.append(measure_objects(stamps, geometry, waiting[0].zero_points_ab_mag))
            waiting.clear()

    for found in read_unit_objects(unit, ids, geometry, plan.described):
        if not isinstance(found.row, Cutout):
            continue
        if any(note.startswith(_PADDED) for note in found.row.notes):
            # Sky that pads a stamp is no sky of the night.
            n_padded += 1
            continue
        waiting.append(found)
        if len(waiting) == _BATCH:
            measure()
    measure()
    return parts, n_padded
