"""What the tests of faults measured, gathered row by row: `pytest -m fault --fault-report FILE`."""

import json
import os
import platform
from collections import defaultdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.faults.rows import ROWS, UNTESTED


def pytest_addoption(parser):
    parser.addoption("--fault-report", type=Path, help="write what the tests of faults measured to this file, as JSON")


@pytest.fixture
def measured(record_property):
    """Call it with what a test of a fault measured, all of it optional.

    `runs`: faults injected, if not one; `worst_recovery_s`: from the fault until work went on;
    `wasted_fraction`: work done again over all work; `note`: a sentence.
    """

    def record(**figures):
        unknown = figures.keys() - {"runs", "worst_recovery_s", "wasted_fraction", "note"}
        assert not unknown, unknown
        for name, value in figures.items():
            record_property(name, value)

    return record


def pytest_runtest_setup(item):
    # In the test's report, which also comes from other processes.
    item.user_properties.append(("fault", [row for mark in item.iter_markers("fault") for row in mark.args]))


def pytest_configure(config):
    if config.getoption("--fault-report") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Reporter(config.getoption("--fault-report")))


class _Reporter:
    def __init__(self, path):
        self._path = path
        self._rows = defaultdict(list)

    def pytest_runtest_logreport(self, report):
        if report.skipped or (report.when != "call" and not report.failed):
            return
        figures = dict(report.user_properties)
        rows = figures.pop("fault", [])
        figures = figures if report.when == "call" else {}
        for row in rows:
            self._rows[row].append({"runs": 1, **figures, "violations": int(report.failed)})

    def pytest_sessionfinish(self):
        entries = [self._entry(row) for row in ROWS]
        self._path.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")
        self._path.with_name("REPORT.md").write_text(_markdown(entries), encoding="utf-8")

    def _entry(self, row):
        tests = self._rows[row]
        notes = [test["note"] for test in tests if "note" in test]
        return {
            "fault": f"{row}: {ROWS[row]}",
            "runs": sum(test["runs"] for test in tests),
            "violations": sum(test["violations"] for test in tests),
            "worst_recovery_s": _largest(tests, "worst_recovery_s"),
            "wasted_fraction": _largest(tests, "wasted_fraction"),
            "note": "; ".join(dict.fromkeys(notes)) or UNTESTED.get(row, ""),
        }


def _markdown(entries):
    """The same as a table."""
    today = datetime.now(UTC).date().isoformat()
    about = f"{today}, {os.cpu_count()} cores, Python {platform.python_version()}, Ray {version('ray')}"
    head = ["| fault | runs | violations | worst recovery, s | work done again | |", "|---|--:|--:|--:|--:|---|"]
    rows = []
    for entry in entries:
        numbers = [entry[name] for name in ("runs", "violations", "worst_recovery_s", "wasted_fraction")]
        shown = " | ".join("" if number is None else f"{number:g}" for number in numbers)
        rows.append(f"| {entry['fault']} | {shown} | {entry['note']} |")
    return "\n".join(["# Faults", "", f"Written by `make faults`, {about}.", "", *head, *rows]) + "\n"


def _largest(tests, name):
    return max((test[name] for test in tests if name in test), default=None)
