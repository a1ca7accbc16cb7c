"""Summaries of scans for tests of what flows do with them."""

from scanner.workers.run import NightSummary


def night_summary(**changes):
    """Return the summary of a scan of two tiles, with some fields changed."""
    fields = {
        "night": "2026-11-24",
        "plan_id": "ab" * 32,
        "ensemble": "test",
        "unit_kind": "tile",
        "survey": None,
        "bands": {},
        "n_units": 2,
        "tiles_left_out": (),
        "sources": None,
        "targets_unmatched": None,
        "tiles_rejected": (),
        "units_by_outcome": {"committed": 2},
        "n_rows": 15,
        "rows_by_status": {"scored": 15},
        "threshold": 0.5,
        "prevalence": 5e-4,
        "n_candidates": 14,
        "replaces": (),
        "n_workers_lost": 0,
        "candidates_uri": "catalogue/candidates/2026-11-24.parquet",
        "awaits_gate": False,
        "seconds": 1,
    }
    return NightSummary(**{**fields, **changes})
