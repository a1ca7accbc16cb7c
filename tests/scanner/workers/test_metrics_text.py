"""The text file of metrics is read as Prometheus' own parser reads it."""

import stat

from scanner.vocabulary.metrics import METRICS
from scanner.workers.metrics_text import FILE_NAME, metrics_text, samples_of, write_metrics
from tests.scanner.prometheus_text import parsed
from tests.scanner.run_records import record_of

NIGHT = {"night": "2026-11-24"}


def test_every_metric_is_read_back():
    samples, about = parsed(metrics_text(samples_of(record_of(), 3600.5, 0.75), "2026-11-24"))
    assert samples == {
        "lensscan_rows_scored_total": [(NIGHT, 90)],
        "lensscan_rows_rejected_total": [(NIGHT | {"code": "blank"}, 3), (NIGHT | {"code": "missing_band"}, 2)],
        "lensscan_units_committed_total": [(NIGHT, 4)],
        "lensscan_units_failed_total": [(NIGHT, 1)],
        "lensscan_candidates_total": [(NIGHT, 7)],
        "lensscan_stage_seconds_total": [(NIGHT | {"stage": "networks"}, 8.25), (NIGHT | {"stage": "read"}, 1.5)],
        "lensscan_store_retries_total": [(NIGHT, 6)],
        "lensscan_worker_deaths_total": [(NIGHT, 2)],
        "lensscan_oldest_unpromoted_night_seconds": [(NIGHT, 3600.5)],
        "lensscan_night_progress": [(NIGHT, 0.75)],
    }
    # The parser takes `_total` off the name of a counter.
    assert about == {metric.name: (metric.kind, metric.description) for metric in METRICS}


def test_what_is_unknown_is_left_out():
    unknown = {"units_committed": None, "rows_by_status": None, "candidates": None, "stage_seconds": {}}
    samples, _ = parsed(metrics_text(samples_of(record_of(**unknown), None, 0.0), "undated"))
    assert set(samples) == {
        "lensscan_units_failed_total",
        "lensscan_store_retries_total",
        "lensscan_worker_deaths_total",
        "lensscan_night_progress",
    }


def test_labels_are_escaped():
    awkward = 'a "quoted"\\ name\nin two lines'
    samples, _ = parsed(metrics_text(samples_of(record_of(), None, 0.0), awkward))
    assert samples["lensscan_night_progress"] == [({"night": awkward}, 0.0)]


def test_the_file_is_replaced_whole_and_readable_by_others(tmp_path):
    folder = tmp_path / "new" / "folder"
    for text in ("first\n", "second\n"):
        write_metrics(folder, text)
    (path,) = folder.iterdir()
    assert (path.name, path.read_text()) == (FILE_NAME, "second\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
