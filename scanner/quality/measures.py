"""Everything that the gate measures of a night, stored beside its verdict, so that a later night can be compared with it."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from infra.frozen import Frozen
from infra.json_values import finite
from infra.progress import Progress, no_progress
from infra.provenance import canonical_json
from infra.store.replacement import replace
from infra.store.storage import FileInfo, read_bytes
from scanner.catalogue.paths import measured_uri
from scanner.catalogue.plan import Plan
from scanner.catalogue.unitfile import unit_files
from scanner.catalogue.units import MAX_EXAMPLES
from scanner.quality.counts import UnitCounts, count_units
from scanner.quality.errors import QualityError
from scanner.quality.sample import measure_sample
from scanner.scan.planned_input import lacking_bands
from scanner.vocabulary.geometry import MER_10

GEOMETRY = MER_10
"""Geometry of the stamps on which every night is measured, whichever ensemble has scored it: the noise of a pixel depends on
the pixel's size. Its 10 arcsec hold the circle and the square that are measured, with sky about them."""
_VERSION = 2
"""Version of the measurement; measures of another one are made anew, because they may be of other stamps or objects."""
_DIGITS = 6
"""Significant digits of the stored numbers: more than any measurement on a stamp has."""


class NightMeasures(Frozen):
    """Counts of a night, and the measurements of a sample of its objects."""

    version: int = 1
    """Version of the measurement; the first one was not stored."""
    plan_id: str = Field(pattern="^[0-9a-f]{64}$")
    night: str | None
    ensemble_sha256: str
    catalogue_rows: dict[str, int]
    """Number of objects in the catalogue of each unit, also those that another unit owns."""
    lacking: dict[str, tuple[str, ...]]
    """Bands that a tile lacks, by tile, of those that lack one."""
    units: dict[str, UnitCounts]
    log_odds: tuple[int, ...]
    """Histogram of the log odds of `p_lens`."""
    n_chosen: int
    """Number of objects of the sample without padded stamps; those that could be read again have a row in `sample`."""
    sample: dict[str, tuple[float | None, ...]]
    """Quantities by name, `[n]` each."""

    def values(self, name: str) -> NDArray[np.float64]:
        """Return a quantity of the sample, `[n]`, NaN where it has no value; empty if it was not measured."""
        return np.array([np.nan if value is None else value for value in self.sample.get(name, ())], np.float64)

    @property
    def n_sampled(self) -> int:
        return max(map(len, self.sample.values()), default=0)


def measured(plan: Plan, root_uri: str, progress: Progress = no_progress) -> NightMeasures:
    """Return the measures of a sealed plan: the stored ones, else measure and store them.

    Measures for which a tile could not be read are not stored: they are made anew, in case the tile is back.

    Raises:
        QualityError: the stored ones are damaged, or a unit file is missing or cannot be read.
        StorageError: the store failed.
        WcsProcessError: the process that locates objects does not start or was killed.
    """
    if (known := stored_measures(root_uri, plan.plan_id)) is not None:
        return known
    found, is_whole = _measure(plan, root_uri, progress)
    if is_whole:
        # Not `create_if_absent`: measures of another version may have the name.
        replace(measured_uri(root_uri, plan.plan_id), canonical_json(found.model_dump()))
    return found


def stored_measures(root_uri: str, plan_id: str) -> NightMeasures | None:
    """Return the stored measures of a plan; None if it was not measured, or by another version of the measurement.

    Raises:
        QualityError: they are damaged.
        StorageError: the store failed.
    """
    uri = measured_uri(root_uri, plan_id)
    try:
        found = NightMeasures.model_validate_json(read_bytes(uri))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise QualityError(f"{uri}: not the measures of a night; remove it and run `lensscan qa` again") from error
    return found if found.version == _VERSION else None


def _measure(plan: Plan, root_uri: str, progress: Progress) -> tuple[NightMeasures, bool]:
    """Return the measures, and whether the sample is whole."""
    own = _own_files(plan, root_uri)
    try:
        units, histogram = count_units(own)
        with_scores = {name: file.uri for name, file in own if units[name].n_scored}
        sample = measure_sample(plan, with_scores, GEOMETRY, progress)
    except (pa.ArrowException, ValueError) as error:
        raise QualityError(f"{root_uri}: plan {plan.plan_id[:12]}: a unit file cannot be read: {error}") from error
    found = NightMeasures(
        version=_VERSION,
        plan_id=plan.plan_id,
        night=plan.night,
        ensemble_sha256=plan.ensemble_sha256,
        catalogue_rows={unit.unit_id: unit.n_rows + len(unit.owned_elsewhere) for unit in plan.units},
        lacking={unit.unit_id: bands for unit in plan.units if (bands := lacking_bands(unit, GEOMETRY))},
        units=units,
        log_odds=tuple(histogram.tolist()),
        n_chosen=sample.n_chosen,
        sample={name: tuple(finite([_rounded(value) for value in values.tolist()])) for name, values in sample.columns.items()},
    )
    return found, sample.is_whole


def _own_files(plan: Plan, root_uri: str) -> list[tuple[str, FileInfo]]:
    """Return the id and the file of each unit of a sealed plan."""
    files = unit_files(root_uri, plan.plan_id)
    if missing := [unit.unit_id for unit in plan.units if unit.unit_id not in files]:
        names = ", ".join(missing[:MAX_EXAMPLES])
        raise QualityError(
            f"{root_uri}: plan {plan.plan_id[:12]}: the files of {len(missing)} of {len(plan.units)} units are missing, "
            f"such as {names}; `lensscan verify {root_uri}` names them all. `lensscan repair {root_uri}` and the same scan "
            "again write them anew"
        )
    return [(unit.unit_id, files[unit.unit_id]) for unit in plan.units]


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
