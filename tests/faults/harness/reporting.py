"""Figures that the tests of faults measured, gathered row by row: `pytest -m fault --fault-report FILE`."""

import os
from pathlib import Path

import pytest

from tests import circumstances
from tests.faults.harness import harm, patience, report
from tests.faults.harness.rows import ROWS, UNTESTED

_SAID = {"row", "runs", "recovery_s", "work_done_again", "note", *report.FIGURES}


def pytest_addoption(parser):
    parser.addoption("--fault-report", type=Path, help="write what the tests of faults measured to this file, as JSON")


@pytest.fixture
def measured(request):
    """Call it with what a test of a fault measured, all of it optional; once for each row if the test is of several.

    `row`: of which row, if not the first of its mark; `runs`: faults injected, if not one, or as many as were killed;
    `worker_kills`, `driver_kills_ray`, `driver_kills_no_ray`: processes killed, each named where it is no actor of a scan;
    `histories`: in one process, and no runs; `recovery_s`: from the fault to the next commit or, of reads, until they went on;
    `work_done_again`: its share of all work; `note`: a sentence, with other durations and their names.

    What was lost, doubled, torn or wrong is no figure of a test's own: the checks of `harm` count it.
    """
    rows = _rows(request.node)
    said = dict(request.node.user_properties)["measured"]

    def record(*, row=None, **figures):
        assert figures.keys() <= _SAID, figures.keys() - _SAID
        assert row is None or row in rows, f"{row} is none of the mark's rows {rows}"
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
    # Before it may be skipped; in the test's report, which also comes from other processes.
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
    # By default Ray's workers give way to everything else that runs: on a busy machine they stand still.
    os.environ.setdefault("RAY_worker_niceness", "0")
    if config.getoption("--fault-report") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Reporter(config.getoption("--fault-report")))


class _Reporter:
    def __init__(self, path):
        self._path = path
        self._commit = circumstances.commit()
        self._tests = {}
        """By their ids, each with the row in which it counts."""

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
    """The part of a test that counts in a row: its figures where they belong; its outcome in the first of its rows."""
    rows = [figure["row"] for figure in test["measured"]] or test["rows"]
    if row not in rows:
        return None
    own = [figure for figure in test["measured"] if figure["row"] == row]
    rest = {} if row == rows[0] else {"failed": 0, "timed_out": 0, "harm": {}}
    return test | rest | {"measured": own}


def _rows(item):
    return [row for mark in item.iter_markers("fault") for row in mark.args]
