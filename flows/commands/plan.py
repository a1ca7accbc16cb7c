"""`lensscan plan`: describe the input of a scan and predict its cost."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from flows.ensembles import chosen_package
from infra.engine_name import EngineName
from infra.errors import LensscanError
from infra.frozen import Frozen
from infra.settings import Settings
from scanner.catalogue.plan import Plan
from scanner.catalogue.selection import EVERYTHING, Selection
from scanner.networks.card_file import read_card
from scanner.networks.threshold import Threshold
from scanner.scan.errors import ScanError
from scanner.scan.estimate import Estimate, Measured, estimate
from scanner.scan.expected_candidates import Expectation, by_evaluation, by_sample
from scanner.scan.planned_input import PlannedInput, planned_input, unit_size
from scanner.scan.request import ScanRequest, plan_scan, shown_threshold
from scanner.sources.survey import find_survey
from scanner.vocabulary.choices import MAPS_PER_UNIT
from scanner.vocabulary.geometry import GEOMETRIES


class PlanArgumentsError(LensscanError):
    """An argument has no effect without another one."""


class Prediction(Frozen):
    """Expected cost and yield of a scan."""

    measured: Measured
    estimate: Estimate
    is_of_input: bool
    """Whether the input itself was estimated, not a number of units like the measured one."""
    threshold: float
    """Smallest `p_lens` of a candidate."""
    candidates_by_sample: Expectation | None
    """Expected candidates if all units are like the measured rows; None if few rows were scored."""
    candidates_by_evaluation: Expectation | None
    """Expected candidates by the evaluation of the ensemble; None without one."""
    price_per_core_hour: float | None
    cost: float | None
    """Core hours times their price."""


class PlanReport(Frozen):
    """The input of a scan and, if it was measured, the prediction."""

    ensemble: str
    input: PlannedInput
    prediction: Prediction | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain values with machine names; the numbers of the input stand at the top."""
        found = self.model_dump(exclude_none=True)
        return {"ensemble": self.ensemble, **found["input"], **_rounded(found.get("prediction", {}))}


def describe_plan(
    input_uri: str,
    ensemble: str | None = None,
    engine: EngineName | None = None,
    *,
    measured: bool = False,
    exact: bool = False,
    threshold: Threshold | None = None,
    maps: int = MAPS_PER_UNIT,
    workers: int | None = None,
    n_units: int | None = None,
    price_per_core_hour: float | None = None,
    selection: Selection = EVERYTHING,
    survey: str | None = None,
) -> PlanReport:
    """Describe the input under `input_uri`; with `measured`, also measure this machine and predict cost and candidates.

    Raises:
        PlanArgumentsError: an argument of the prediction is given, and none is asked for.
        PlanError: there is nothing to scan.
        SurveyError: there is no such survey, or its description cannot be used.
        ScanError: no row of the measured unit can be scored.
    """
    _check_arguments(measured, {"--units": n_units, "--workers": workers, "--price-per-core-hour": price_per_core_hour})
    settings = Settings.read()
    request = ScanRequest(
        input_uri=input_uri,
        selection=selection,
        survey=find_survey(survey),
        night=datetime.now(UTC).date(),
        package=chosen_package(ensemble),
        candidate_threshold=threshold,
        engine=engine or settings.engine,
        exact=exact,
        maps_per_unit=maps,
    )
    plan = plan_scan(request)
    found = planned_input(plan, GEOMETRIES[read_card(request.package).geometry])
    report = PlanReport(ensemble=plan.ensemble_name, input=found)
    if not measured:
        return report
    prediction = _predicted(request, plan, found, workers or settings.workers, n_units, price_per_core_hour)
    return report.model_copy(update={"prediction": prediction})


def _check_arguments(measured: bool, of_prediction: Mapping[str, Any]) -> None:
    if not measured and (given := [name for name, value in of_prediction.items() if value is not None]):
        raise PlanArgumentsError(f"{', '.join(given)} needs --estimate, which predicts the cost")


def _predicted(
    request: ScanRequest, plan: Plan, found: PlannedInput, workers: int, n_units: int | None, price_per_core_hour: float | None
) -> Prediction:
    """Measure the largest complete unit, and predict for complete ones: a scan rejects the rows of others without pixels."""
    # Only a prediction needs the networks, whose libraries take seconds to import.
    from scanner.scan.measure import measure

    complete = [unit for unit in plan.units if unit.unit_id not in found.tiles_without_bands]
    if not complete:
        raise ScanError(f"{request.input_uri}: no tile has a mosaic of every band, so nothing can be measured")
    sample = max(complete, key=lambda unit: unit.n_selected)
    threshold = shown_threshold(request)
    speed = measure(sample, plan, request.package, max(1, (os.cpu_count() or 1) // workers), threshold)
    sizes = [unit_size(unit) for unit in ([sample] * n_units if n_units else complete)]
    predicted = estimate(speed, sizes, workers, request.maps_per_unit)
    return Prediction(
        measured=speed,
        estimate=predicted,
        is_of_input=n_units is None,
        threshold=threshold,
        candidates_by_sample=by_sample(speed.n_shown, speed.n_scored, predicted.n_rows),
        candidates_by_evaluation=by_evaluation(request.package, threshold, predicted.n_rows),
        price_per_core_hour=price_per_core_hour,
        cost=None if price_per_core_hour is None else predicted.core_hours * price_per_core_hour,
    )


def _rounded(values: Any) -> Any:
    """Round to four digits, more than an estimate has."""
    if isinstance(values, dict):
        return {name: _rounded(value) for name, value in values.items()}
    return float(f"{values:.4g}") if isinstance(values, float) else values
