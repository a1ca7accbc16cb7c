import re
from pathlib import Path

from tests.faults.harness.rows import ROWS, UNTESTED

_MARK = re.compile(r"mark\.fault\(([\d, ]+)\)")


def test_every_fault_has_a_test_or_a_reason():
    tests = Path(__file__).parent.parent
    marks = [match for path in tests.rglob("test_*.py") for match in _MARK.findall(path.read_text(encoding="utf-8"))]
    tested = {int(row) for mark in marks for row in mark.split(",") if row.strip()}
    assert list(ROWS) == list(range(1, 41))
    assert tested <= set(ROWS)
    assert tested | set(UNTESTED) == set(ROWS)
    assert not tested & set(UNTESTED)


def test_tests_of_several_rows_assign_their_runs():
    for path in Path(__file__).parent.parent.rglob("test_*.py"):
        tests = path.read_text(encoding="utf-8").split("\n\n\n")
        of_several = [test for test in tests for rows in _MARK.findall(test) if "," in rows]
        assert all("measured(row=" in test for test in of_several), path
