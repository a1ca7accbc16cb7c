"""Tell which plans scanned a survey that `p_lens` is not calibrated for."""

from collections.abc import Iterable

from infra.read_ahead import map_ahead
from infra.store.storage import N_AHEAD
from scanner.catalogue.plan import load_plan
from scanner.catalogue.units import PlanError
from scanner.vocabulary.calibration import is_calibrated_for, warning_for


def calibration_warning(root_uri: str, plan_ids: Iterable[str]) -> str | None:
    """Return a line that names the surveys of plans that `p_lens` is not calibrated for; None if there are none.

    A plan that cannot be read names no survey.

    Raises:
        StorageError: the store failed.
    """

    def survey_of(plan_id: str) -> str | None:
        try:
            return load_plan(root_uri, plan_id).survey_name
        except PlanError:
            return None

    found = set(map_ahead(survey_of, dict.fromkeys(plan_ids), N_AHEAD))
    return warning_for(sorted(name for name in found if name is not None and not is_calibrated_for(name)))
