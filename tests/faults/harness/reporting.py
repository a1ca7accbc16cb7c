"""Collect the figures that the fault tests measured, row by row: `pytest -m fault --fault-report FILE`."""

import os
from pathlib import Path

import pytest

from tests import circumstances
from tests.faults.harness import harm, patience, report
from tests.faults.harness.rows import ROWS, UNTESTED

_SAID = {"row", "runs", "recovery_s", "work_done_again", "note", *report.FIGURES}


def pytest_addoption(parser):
    parser.addoption("--fault-report", type=Path, help="write the figures of the fault tests to this file, as JSON")


@pytest.fixture
def measured(request):
    """Return a function that takes the figures of a fault test, all optional; call it once for each row of the test.

    `row`: number of the row, by default the first of the test's mark; `runs`: number of faults injected, by default the number
    of kills or one; `worker_kills`, `driver_kills_ray`, `driver_kills_no_ray`: numbers of killed workers of a scan, and of
    killed drivers with and without Ray; `histories`: histories in one process, which are no runs; `recovery_s`: seconds from
    the fault to the next commit or, for reads, until they continued; `work_done_again`: share of all work that was repeated;
    `note`: a sentence, with other durations and their names.

    A test does not report lost, doubled, torn or wrong rows itself: the checks of `harm` count them.
    """
    rows = _rows(request.node)
    said = dict(request.node.user_properties)["measured"]

    def record(*, row=None, **figures):
        assert figures.keys() <= _SAID, figures.keys() - _SAID
        assert row is None or row in rows, f"row must be one of the mark's rows {rows}, got {row}"
        kills = sum(figures.get(name, 0) for name in report.KILLS)
        runs = figures.pop("runs", kills if kills or report.HISTORIES in figures else 1)
        said.append({"row": row or rows[0], "runs": runs, **figures})

    return record


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("faults") and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(patience.TEST_S))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    # This runs before a test may be skipped; the properties are part of its report, which may come from another process.
    counts = {}
    item.user_properties += [("fault", _rows(item)), ("measured", []), ("harm", counts)]
    harm.begin(counts)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    made = yield
    if call.excinfo is not None and made.failed:
        made.user_properties.append(("timed_out", patience.is_time_out(call.excinfo.value)))
    return made


def pytest_configure(config):
    # By default Ray's workers yield to every other process: on a busy machine they make no progress.
    os.environ.setdefault("RAY_worker_niceness", "0")
    if config.getoption("--fault-report") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Reporter(config.getoption("--fault-report")))


class _Reporter:
    def __init__(self, path):
        self._path = path
        self._commit = circumstances.commit()
        self._tests = {}
        """Outcomes of the tests by test id, each with the rows in which it counts."""

    def pytest_runtest_logreport(self, report):
        said = dict(report.user_properties)
        if not said.get("fault"):
            return
        test = self._tests.setdefault(report.nodeid, _nothing(said["fault"]))
        if report.skipped:
            test["skipped"] = report.longrepr[2].removeprefix("Skipped: ")
        # The first outcome stays: a teardown that fails or times out later does not change it.
        if report.failed and not test["failed"] and not test["timed_out"]:
            test["timed_out" if said.get("timed_out") else "failed"] = 1
        if report.when == "call" and not report.skipped:
            test["harm"] = said["harm"]
            test["measured"] = said["measured"] or [{"row": said["fault"][0], "runs": 1}]

    def pytest_sessionfinish(self):
        begun = self._commit
        if circumstances.commit() != begun:
            begun = f"{begun.removesuffix('+dirty')}+dirty"
        entries = [self._entry(row, begun) for row in ROWS]
        report.write(self._path, entries)

    def _entry(self, row, commit):
        parts = [_part(test, row) for test in self._tests.values()]
        made = report.entry(row, [part for part in parts if part], commit)
        return made | {"note": UNTESTED[row]} if row in UNTESTED else made


def _nothing(rows):
    return {"rows": rows, "skipped": "", "failed": 0, "timed_out": 0, "harm": {}, "measured": []}


def _part(test, row):
    """Return the part of a test that counts in a row: the figures of that row, and in the first row also the outcome."""
    rows = [figure["row"] for figure in test["measured"]] or test["rows"]
    if row not in rows:
        return None
    own = [figure for figure in test["measured"] if figure["row"] == row]
    rest = {} if row == rows[0] else {"failed": 0, "timed_out": 0, "harm": {}}
    return test | rest | {"measured": own}


def _rows(item):
    return [row for mark in item.iter_markers("fault") for row in mark.args]
