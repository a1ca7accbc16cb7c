"""The report of faults, made from tests with planted outcomes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.harness import patience
from tests.faults.harness.rows import ROWS

PLANTED = """
import time
import pyarrow as pa, pyarrow.parquet as pq, pytest
from tests.faults.harness import harm
from tests.faults.harness import patience

ROWS = [{"object_id": i, "p": i / 10} for i in range(4)]
fault = pytest.mark.fault

@fault(1)
def test_a_loss(measured):
    measured(worker_kills=3, recovery_s=2.345, note="killed three times")
    harm.assert_none(harm.compare(ROWS[1:], ROWS))

@fault(1)
def test_no_loss(measured):
    measured(worker_kills=4, driver_kills_no_ray=2, recovery_s=1.0, note="killed three times")
    harm.assert_none(harm.compare(ROWS, ROWS))

@fault(2)
def test_a_double():
    harm.assert_none(harm.compare([*ROWS, ROWS[2], ROWS[2]], ROWS))

@fault(3)
def test_a_tear(tmp_path):
    for name in "abc":
        pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / f"{name}.parquet")
    (tmp_path / "a.parquet").write_bytes((tmp_path / "b.parquet").read_bytes()[:-9])
    tables, torn = harm.read_files(tmp_path.iterdir(), {"b.parquet": 4, "c.parquet": 5})
    assert len(tables) == 2
    harm.assert_none(torn + harm.compare(pa.concat_tables(tables), ROWS))

@fault(4)
def test_wrong_scores():
    changed = [ROWS[0] | {"p": 0.001}, *ROWS[1:], {"object_id": 77, "p": 0.5}]
    harm.assert_none(harm.compare(changed, ROWS))

@fault(5)
def test_a_failure():
    assert False

@fault(5)
def test_a_success():
    pass

@fault(6)
@pytest.mark.timeout(0.2)
def test_a_time_out_of_pytest():
    time.sleep(5)

@fault(6)
def test_a_time_out_of_the_harness(monkeypatch):
    monkeypatch.setattr(patience, "GENEROUS", 0.001)
    patience.wait_for("an event that never comes", lambda: False, 1)

@fault(7)
@pytest.mark.skip(reason="no rights")
def test_a_skip():
    pass

@fault(8)
@pytest.mark.skip(reason="no rights")
def test_another_skip():
    pass

@fault(8)
def test_beside_a_skip():
    pass

@fault(9, 10)
def test_of_two_rows(measured):
    measured(row=10, runs=5, recovery_s=0.5)
    measured(row=9, runs=7)
    harm.assert_none(harm.compare(ROWS[2:], ROWS))

@fault(11, 12)
def test_of_two_rows_that_says_nothing():
    pass

@fault(12)
def test_histories(measured):
    measured(histories=60)

@pytest.fixture
def broken():
    raise OSError("no server")

@fault(13)
def test_whose_fixture_fails(broken):
    pass

@pytest.fixture
def slow_to_end():
    yield
    raise patience.TimedOut("a server did not end")

@fault(15)
def test_a_failure_before_a_time_out(slow_to_end):
    assert False

@fault(16)
def test_a_time_out_after_a_success(slow_to_end):
    pass

def test_of_no_fault():
    assert False
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Return the report of the planted tests, by row number, and as a table."""
    folder = tmp_path_factory.mktemp("planted")
    (folder / "test_planted.py").write_text(PLANTED)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = fault")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.faults.harness.reporting", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command += ["--rootdir", folder, "--fault-report", folder / "report.json", "test_planted.py"]
    said = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False).stdout
    assert "10 failed, 6 passed, 2 skipped, 3 errors" in said, said
    rows = json.loads((folder / "report.json").read_text())
    assert [row["fault"] for row in rows] == [f"{number}: {name}" for number, name in ROWS.items()]
    return dict(zip(ROWS, rows, strict=True)), (folder / "REPORT.md").read_text()


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (1, {"runs": 9, "lost": 1, "violations": 1, "failed": 1, "rows_checked": 7, "recovery_s": 2.35}),
        (2, {"runs": 1, "doubled": 2, "violations": 2, "failed": 1, "rows_checked": 6}),
        # One file ends early, in another the plan has more rows; the rows of the first are all in the second.
        (3, {"runs": 1, "torn": 2, "doubled": 4, "violations": 6, "failed": 1, "rows_checked": 8}),
        (4, {"runs": 1, "wrong": 2, "violations": 2, "failed": 1, "rows_checked": 5}),
        (5, {"runs": 2, "failed": 1}),
        (6, {"runs": 2, "timed_out": 2}),
        (7, {"skipped": 1, "note": "skipped: no rights"}),
        (8, {"runs": 1, "skipped": 1, "note": "a test skipped: no rights"}),
        (9, {"runs": 7}),
        (10, {"runs": 5, "lost": 2, "violations": 2, "failed": 1, "rows_checked": 2, "recovery_s": 0.5}),
        (11, {"runs": 1}),
        (12, {"runs": 0, "histories": 60, "note": "in addition, 60 random histories in one process"}),
        (13, {"runs": 0, "failed": 1}),
        (14, {"runs": 0, "note": "not run"}),
        (15, {"runs": 1, "failed": 1}),
        (16, {"runs": 1, "timed_out": 1}),
    ],
)
def test_each_planted_outcome_is_in_its_column_only(written, number, expected):
    zero = dict.fromkeys(("runs", "lost", "doubled", "torn", "wrong", "violations", "rows_checked", "failed", "timed_out"), 0)
    nothing = {**zero, "skipped": 0, "recovery_s": None, "work_done_again": None}
    row = written[0][number]
    assert {name: row[name] for name in nothing} == {name: expected.get(name, nothing[name]) for name in nothing}
    assert row["note"] == expected.get("note", row["note"])
    assert row.get("histories", 0) == expected.get("histories", 0)


def test_kills_are_counted_by_kind(written):
    row = written[0][1]
    assert (row["worker_kills"], row["driver_kills_no_ray"]) == (7, 2)
    assert "driver_kills_ray" not in row
    assert row["note"] == "7 workers killed in a scan; 2 drivers killed, without Ray; killed three times"


def test_the_table_agrees_with_the_rows_and_their_commit(written):
    rows, table = written
    commits = {row["commit"] for row in rows.values()}
    assert len(commits) == 1
    assert f"of commit {commits.pop()}, on 2" in table
    lines = {line.split(":")[0]: line for line in table.splitlines() if line.startswith("| ") and line[2].isdigit()}
    assert len(lines) == len(ROWS)
    assert lines["| 3"] == "| 3: a node dies | 1 | 8 | 0 | 4 | 2 | 0 | 6 | 1 | 0 |  |  |"
    assert lines["| 6"] == "| 6: an actor hangs | 2 | 0 | - | - | - | - | - | 0 | 2 |  |  |"


@pytest.mark.parametrize(("load", "expected_s"), [(0.1, 30), (2.0, 30), (8.0, 120)])
def test_waits_grow_with_the_load_of_the_machine(monkeypatch, load, expected_s):
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert patience.scaled(10) == expected_s


def test_a_process_that_ends_early_is_a_failure():
    with subprocess.Popen(["true"], stdout=subprocess.PIPE) as process, pytest.raises(AssertionError, match="ended without x"):
        patience.wait_for("x", lambda: False, process=process)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (subprocess.TimeoutExpired("lensscan", 5), True),
        (RuntimeError("no Ray: The current node timed out during startup. This could"), True),
        (pytest.fail.Exception("the S3 server was not ready within 90 s"), True),
        (pytest.fail.Exception("a row was lost"), False),
        (AssertionError("Timeout (>5s)"), False),
    ],
)
def test_the_harness_recognises_its_own_time_outs(error, expected):
    assert patience.is_time_out(error) is expected
