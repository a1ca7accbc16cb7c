"""`lensscan plan`: predict the input and the cost of a scan."""

import os
from datetime import UTC, datetime
from typing import Any

from flows.ensembles import chosen_package
from infra.engine_name import EngineName
from infra.settings import Settings
from scanner.scan.estimate import estimate, measure
from scanner.scan.request import ScanRequest, plan_scan


def describe_plan(
    input_uri: str,
    ensemble: str | None,
    engine: EngineName | None,
    *,
    exact: bool,
    workers: int | None,
    n_units: int | None,
    measured: bool,
) -> dict[str, Any]:
    """Return units, rows and bytes under `input_uri`; with `measured`, also measured speeds and the predicted cost.

    Raises:
        PlanError: there is nothing to scan.
        ScanError: no row of the measured unit can be scored.
    """
    settings = Settings.read()
    request = ScanRequest(
        input_uri=input_uri,
        night=datetime.now(UTC).date(),
        package=chosen_package(ensemble),
        engine=engine or settings.engine,
        exact=exact,
        # Only the best candidates of a unit have maps, so their share among the measured rows is not representative.
        maps_per_unit=0,
    )
    plan = plan_scan(request)
    n_bytes = sum(file.size for unit in plan.units for file in unit.files.values())
    described: dict[str, Any] = {"ensemble": plan.ensemble_name, "units": len(plan.units), "rows": plan.n_rows}
    # An object in the overlap of tiles is scanned once.
    described |= {"rows in overlaps": sum(len(unit.owned_elsewhere) for unit in plan.units), "input bytes": n_bytes}
    if not measured:
        return described
    workers = workers or settings.workers
    threads = max(1, (os.cpu_count() or 1) // workers)
    sample = max(plan.units, key=lambda unit: unit.n_rows)
    measurement = measure(sample, plan, request.package, threads)
    predicted = estimate(measurement, n_units or len(plan.units), workers)
    return {
        **described,
        "measured on": sample.unit_id,
        **_rounded(measurement.model_dump()),
        **_rounded(predicted.model_dump()),
    }


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    """Round to four digits, more than an estimate has."""
    return {name: float(f"{value:.4g}") if isinstance(value, float) else value for name, value in values.items()}
