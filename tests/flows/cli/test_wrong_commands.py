"""Test that every wrong command ends in one line and exit code 2, changes no file, and shows no traceback."""

import pytest

from tests.flows.cli.wrong_commands import make_files, wrong_commands

WRONG = list(wrong_commands())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wrong")
    make_files(folder)
    return folder


def test_there_are_150_wrong_commands():
    assert len({(tuple(env), args) for env, args, _ in WRONG}) >= 150


@pytest.mark.parametrize(("env", "args", "says"), WRONG, ids=[" ".join((*env, *args)) or "nothing" for env, args, _ in WRONG])
def test_a_wrong_command_ends_in_one_line(lensscan, folder, env, args, says):
    before = sorted(folder.iterdir())
    done = lensscan(*args, cwd=folder, LENSSCAN_ENSEMBLES_DIR=str(folder / "ensembles"), **env)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("lensscan: ")
    assert len(done.stderr.splitlines()) == 1
    assert says in done.stderr
    assert sorted(folder.iterdir()) == before, "a wrong command makes no file"
