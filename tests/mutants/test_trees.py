"""Tests that run mutants of a small repository in a copy."""

import json
from contextlib import closing
from pathlib import Path

import pytest

from tests.mutants.campaign import Campaign, Job
from tests.mutants.trees import Tree, TreeError
from tests.servers import wait_for

CODE = "def larger(a, b):\n    return a if a > b else b\n"
KERNEL = "from numba import njit\n\n\n@njit(cache=True)\ndef larger(a, b):\n    return a + b - 1\n"
PATH, TESTS = "code_of_it.py", ("tests/test_code.py",)
FILES = {
    PATH: CODE,
    "tests/test_code.py": "from code_of_it import larger\n\n\ndef test_the_larger():\n    assert larger(1, 2) == 2\n",
    "tests/test_wrong.py": "def test_what_is_wrong():\n    assert 1 == 2\n",
    "tests/test_none.py": "",
    "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '-ra'\nfilterwarnings = ['error']\n",
    ".venv/pyvenv.cfg": "",
    "../shared/table.csv": "1",
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Yield a copy whose server process imports only the libraries that every run imports."""
    work = tmp_path_factory.mktemp("work")
    for name, text in FILES.items():
        (work / "repository" / name).parent.mkdir(parents=True, exist_ok=True)
        (work / "repository" / name).write_text(text)
    with closing(Tree(work / "repository", work / "copy", libraries=("pytest", "anyio", "hypothesis", "numba"))) as found:
        yield found


def job(text, tests=TESTS):
    return Job("code_of_it.py", PATH, "AddNot", "a", "b", text, tests)


def test_detected_mutants_are_killed_and_others_survive(tree, tmp_path):
    # The second mutant gives the same results for numbers that differ.
    jobs = [job(CODE.replace(">", "<")), job(CODE.replace(">", ">=")), job("import missing\n")]
    progress = tmp_path / "progress.jsonl"
    results = Campaign(jobs, [tree], progress).results()
    assert [result.killed for result in results] == [True, False, True]
    assert results[0].by.startswith("tests/test_code.py::test_the_larger - assert 1 == 2")
    assert (tree.root / PATH).read_text() == CODE
    # Finished jobs are not run again: here no tree could run them.
    assert Campaign(jobs, [], progress).results() == results
    assert [json.loads(line)["killed"] for line in progress.read_text().splitlines()] == [True, False, True]
    # An unfinished line is dropped, and the line of the next result is not appended to it.
    whole = progress.read_text()
    progress.write_text(whole[:-9])
    assert [r.killed for r in Campaign(jobs, [tree], progress).results()] == [True, False, True]
    assert len(progress.read_text().splitlines()) == 3
    assert Campaign(jobs, [], progress).results()[:2] == results[:2]


@pytest.mark.parametrize(
    ("tests", "message"),
    [
        ("tests/test_wrong.py", "tests fail without any mutant: tests/test_wrong.py::test_what_is_wrong"),
        ("tests/test_none.py", "no tests in tests/test_none.py"),
        ("tests/test_absent.py", "pytest cannot run tests/test_absent.py"),
    ],
)
def test_failing_or_missing_tests_without_a_mutant_end_the_run(tree, tests, message):
    with pytest.raises(TreeError, match=f"^{message}"):
        Campaign([job(CODE, (tests,))], [tree], None).results()


@pytest.mark.parametrize("n_deaths", [1, 2])
def test_a_killed_run_is_repeated_once(tree, tmp_path, n_deaths):
    seen = tmp_path / "seen"
    dying = (
        f"import os, pathlib\n\nseen = pathlib.Path({str(seen)!r})\nwith seen.open('a') as file:\n    file.write('x')\n"
        f"if seen.stat().st_size <= {n_deaths}:\n    os.kill(os.getpid(), 9)\n\n\n{CODE}"
    )
    (result,) = Campaign([job(dying)], [tree], None).results()
    assert (result.killed, result.by) == ((False, "") if n_deaths == 1 else (True, "signal 9"))
    assert seen.read_text() == "xx"


def test_an_endless_loop_fails_and_its_processes_are_killed(tree, tmp_path):
    started, limit = tmp_path / "started", 2.0
    endless = (
        "import subprocess, sys, pathlib\n\n\ndef larger(a, b):\n"
        "    found = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)'], start_new_session=True)\n"
        f"    pathlib.Path({str(started)!r}).write_text(str(found.pid))\n    while True:\n        pass\n"
    )
    with tree.mutated(PATH, endless):
        # A busy machine may take longer to reach this point.
        while not started.exists():
            limit *= 2
            run = tree.run(TESTS, limit)
            assert (run.passed, run.by) == (False, "time-out")
    status = Path(f"/proc/{started.read_text()}/status")

    def is_gone():
        try:
            return "zombie" in status.read_text()
        except OSError:
            return True

    # The kernel ends a killed process when it is its turn on a core.
    wait_for("the end of the process that the mutant started", is_gone)
    assert tree.run(TESTS, 100).passed


def test_machine_code_on_disk_belongs_to_the_mutant(tree):
    with tree.mutated(PATH, KERNEL):
        assert tree.run(TESTS, 100).passed
        assert list(tree.root.rglob("*.nbi"))
        # Files of equal length, written in quick succession.
        for other in ("a - b - 1", "a * b - 1"):
            with tree.mutated(PATH, KERNEL.replace("a + b - 1", other)):
                assert not tree.run(TESTS, 100).passed
        assert tree.run(TESTS, 100).passed


def test_data_beside_the_repository_are_linked_beside_the_copy(tree):
    assert (tree.root.parent / "shared" / "table.csv").read_text() == "1"
    assert not (tree.root / ".venv").exists()


def test_code_imported_from_elsewhere_is_detected(tree):
    tree.check_imports("code_of_it")
    with pytest.raises(TreeError, match="not imported from the copy"):
        tree.check_imports("code_of_it", "numba")
