"""Test that the list of the audit's defects matches the code."""

import tomllib
from pathlib import Path

import pytest

from tests.mutants.audit import CLASSES, DEFECTS, Defect
from tests.mutants.campaign import audit_jobs
from tests.mutants.modules import MODULES

ROOT = Path(__file__).parents[2]
DEFECT = Defect("X1", "a", "code.py", "tests/test_code.py", "It adds.", "a - b", "a + b")


def test_every_defect_can_be_applied_to_the_current_code():
    jobs = audit_jobs(ROOT)
    assert len(jobs) == len(DEFECTS)
    for job in jobs:
        assert job.text != (ROOT / job.path).read_text()
        tomllib.loads(job.text) if job.path.endswith(".toml") else compile(job.text, job.path, "exec")


def test_every_defect_has_a_class():
    assert {defect.kind for defect in DEFECTS} == set(CLASSES)


def test_the_nearest_tests_exist():
    named = {test.partition("::")[0] for module in MODULES for test in module.tests} | {defect.test for defect in DEFECTS}
    assert sorted(name for name in named if not (ROOT / name).is_file()) == []


def test_a_replacement_keeps_the_code_around_it():
    assert DEFECT.applied_to("def f(a, b):\n    return a - b\n") == "def f(a, b):\n    return a + b\n"


@pytest.mark.parametrize(("source", "n"), [("return b - a", 0), ("return a - b, a - b", 2)])
def test_text_that_does_not_occur_exactly_once_is_refused(source, n):
    with pytest.raises(ValueError, match=f"X1: text to replace must occur once in code.py, occurs {n} times"):
        DEFECT.applied_to(source)
