"""Test that the list of the audit's defects matches the code."""

from collections import Counter
from pathlib import Path

import pytest

from tests.mutants.audit import DEFECTS, Defect
from tests.mutants.campaign import audit_jobs
from tests.mutants.modules import MODULES, NOT_SAMPLED

ROOT = Path(__file__).parents[2]
DEFECT = Defect("X1", "code.py", "It adds.", "a - b", "a + b", ("tests/test_code.py",))


def test_every_defect_can_be_applied_to_the_current_code():
    jobs = audit_jobs(ROOT)
    assert len(jobs) == len(DEFECTS)
    for job in jobs:
        assert job.text != (ROOT / job.path).read_text()
        compile(job.text, job.path, "exec")


def test_every_listed_audit_defect_occurs_once():
    numbers = (7, 8, 9, 54, 55, 56, 57, 59, 25, 70, 71, 90, 91, 92, 50, 51, 49, 46, 36, 37, 39, 22, 74, 87, 88, 85, 86)
    assert Counter(defect.id for defect in DEFECTS) == Counter(f"M{number:02d}" for number in numbers)


def test_the_nearest_tests_exist():
    named = {test.partition("::")[0] for entry in (*DEFECTS, *MODULES) for test in entry.tests}
    assert sorted(name for name in named if not (ROOT / name).is_file()) == []


def test_files_with_defects_are_sampled_or_listed_with_a_reason():
    assert {defect.path for defect in DEFECTS} - {module.path for module in MODULES} == set(NOT_SAMPLED)


def test_a_replacement_keeps_the_code_around_it():
    assert DEFECT.applied_to("def f(a, b):\n    return a - b\n") == "def f(a, b):\n    return a + b\n"


@pytest.mark.parametrize(("source", "n"), [("return b - a", 0), ("return a - b, a - b", 2)])
def test_text_that_does_not_occur_exactly_once_is_refused(source, n):
    with pytest.raises(ValueError, match=f"X1: text to replace must occur once in code.py, occurs {n} times"):
        DEFECT.applied_to(source)
