"""The metrics that runs report, with the tags of each."""

import importlib.util

NIGHT_TAG = "night"


def declared():
    """Return the tags of each metric by the name of its samples, as the program declares them."""
    if importlib.util.find_spec("scanner.vocabulary.metrics") is not None:
        from scanner.vocabulary.metrics import METRICS

        return {metric.sample_name: set(metric.all_tags) for metric in METRICS}
    # The program does not declare them yet.
    counters = {
        "rows_scored": set(),
        "rows_rejected": {"code"},
        "units_committed": set(),
        "units_failed": set(),
        "candidates": set(),
        "stage_seconds": {"stage"},
        "store_retries": set(),
        "worker_deaths": set(),
    }
    gauges = ("oldest_unpromoted_night_seconds", "night_progress")
    return {f"lensscan_{name}_total": {NIGHT_TAG, *tags} for name, tags in counters.items()} | {
        f"lensscan_{name}": {NIGHT_TAG} for name in gauges
    }
