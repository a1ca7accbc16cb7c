"""The rows of `lensscan status --runs` for people."""

from typing import Any

from scanner.catalogue.paths import night_label
from scanner.catalogue.runs import RunRecord

RUN_COLUMNS = ["run", "night", "started", "seconds", "units", "scored", "rejected", "candidates", "retries", "deaths", "result"]


def run_row(record: RunRecord) -> dict[str, Any]:
    """Return the cells of a run by column; a number that is unknown is empty."""
    rejected = record.rows_rejected
    return {
        "run": record.run_id,
        "night": night_label(record.night),
        "started": f"{record.started_at:%Y-%m-%d %H:%M}",
        "seconds": f"{record.seconds:.1f}",
        "units": f"{_known(record.units_committed)}/{record.n_units}",
        "scored": _known(record.rows_scored),
        "rejected": _known(None if rejected is None else sum(rejected.values())),
        "candidates": _known(record.candidates),
        "retries": record.store_retries,
        "deaths": record.worker_deaths,
        "result": record.error or "complete",
    }


def _known(number: int | None) -> int | str:
    return "" if number is None else number
