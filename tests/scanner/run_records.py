"""The record of a run, for tests."""

from datetime import UTC, datetime

from scanner.catalogue.runs import RunRecord

START = datetime(2026, 11, 24, 22, 30, tzinfo=UTC)


def record_of(run_id="a1", started_at=START, **changes):
    values = {
        "run_id": run_id,
        "night": "2026-11-24",
        "plan_id": "f" * 64,
        "code_version": "1",
        "started_at": started_at,
        "seconds": 12.5,
        "error": "",
        "n_workers": 2,
        "n_units": 5,
        "units_committed": 4,
        "units_committed_here": 3,
        "units_failed": 1,
        "rows_by_status": {"rejected:blank": 3, "rejected:missing_band": 2, "scored": 90, "skipped:selection": 5},
        "candidates": 7,
        "stage_seconds": {"read": 1.5, "networks": 8.25},
        "store_retries": 6,
        "worker_deaths": 2,
    }
    return RunRecord(**values | changes)
