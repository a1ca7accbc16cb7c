"""Test that every wrong command ends in one line and exit code 2, makes no file, and shows no traceback."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.flows.cli.wrong_commands import make_files, wrong_commands

WRONG = list(wrong_commands())
LENSSCAN = str(Path(sys.executable).with_name("lensscan"))
N_BUSY, N_AT_A_TIME = 12, 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wrong")
    make_files(folder)
    return folder


def test_there_are_150_wrong_commands():
    assert len({(tuple(env), args) for env, args, _ in WRONG}) >= 150


@pytest.mark.parametrize(("env", "args", "says"), WRONG, ids=[" ".join((*env, *args)) or "nothing" for env, args, _ in WRONG])
def test_a_wrong_command_ends_in_one_line(lensscan, folder, env, args, says):
    before = files_below(folder)
    check(lensscan(*args, cwd=folder, LENSSCAN_ENSEMBLES_DIR=str(folder / "ensembles"), **env), says)
    assert files_below(folder) == before, "a wrong command makes no file"


@pytest.fixture
def busy_machine():
    """Keep the machine at a load of `N_BUSY`, of which the commands that are tested make up `N_AT_A_TIME`."""
    with ExitStack() as cleanup:
        for _ in range(N_BUSY - N_AT_A_TIME):
            process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            cleanup.callback(process.wait)
            cleanup.callback(process.kill)
        yield


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.usefixtures("busy_machine")
def test_a_busy_machine_shows_the_same_line(folder):
    with ThreadPoolExecutor(N_AT_A_TIME) as pool:
        done = list(pool.map(lambda wrong: run_under_load(folder, *wrong[:2]), WRONG))
    wrong = {}
    for (env, args, says), ended in zip(WRONG, done, strict=True):
        try:
            check(ended, says)
        except AssertionError as error:
            wrong[" ".join((*env, *args))] = f"{error}: {ended}"
    assert wrong == {}


def run_under_load(folder, env, args):
    more = {"LENSSCAN_ENSEMBLES_DIR": str(folder / "ensembles"), "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "1"}
    return subprocess.run(
        [LENSSCAN, *args],
        cwd=folder,
        env={**os.environ, **more, **env},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def files_below(folder):
    """Return the files of a folder, without the plan of a scan and its entry, which are written before Ray is asked."""
    return {path for path in folder.rglob("*") if path.is_file() and not {"plans", "journal"} & set(path.parts)}


def check(done, says):
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("lensscan: ")
    assert len(done.stderr.splitlines()) == 1
    assert says in done.stderr
