"""Tell which plans scanned a survey that `p_lens` is not calibrated for."""

from collections.abc import Iterable
from contextlib import suppress

from pydantic import BaseModel, ValidationError

from infra.read_ahead import map_ahead
from infra.store.storage import N_AHEAD, read_bytes
from scanner.catalogue.paths import plan_uri
from scanner.vocabulary.calibration import is_calibrated_for, warning_for


class _Unit(BaseModel):
    kind: str


class _Survey(BaseModel):
    name: str


class _Planned(BaseModel):
    """The fields of a plan that tell its survey; plans of all versions have them."""

    survey: _Survey | None = None
    units: tuple[_Unit, ...]


def calibration_warning(root_uri: str, plan_ids: Iterable[str]) -> str | None:
    """Return a line that names the surveys of plans that `p_lens` is not calibrated for; None if there are none.

    A plan that cannot be read names no survey.

    Raises:
        StorageError: the store failed.
    """

    def survey_of(plan_id: str) -> str | None:
        with suppress(FileNotFoundError, ValidationError):
            plan = _Planned.model_validate_json(read_bytes(plan_uri(root_uri, plan_id)))
            if plan.survey and any(unit.kind == "tile" for unit in plan.units):
                return plan.survey.name
        return None

    found = set(map_ahead(survey_of, dict.fromkeys(plan_ids), N_AHEAD))
    return warning_for(sorted(name for name in found if name is not None and not is_calibrated_for(name)))
