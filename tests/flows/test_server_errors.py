"""A Prefect server that does not start, answer or let in ends a command in one line; other errors are not taken for that."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from flows.server_errors import server_trouble
from flows.simulate import simulate

LENSSCAN = str(Path(sys.executable).with_name("lensscan"))


@pytest.mark.server
def test_a_server_that_starts_too_slowly_gives_one_line(tmp_path):
    env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_API")}
    env |= {"PREFECT_HOME": str(tmp_path / "prefect"), "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "1"}
    command = [LENSSCAN, "simulate", "--flow", "--n", "2", "--out", "shards"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    said = "the Prefect server that --flow started on this machine does not answer: repeat the command, or leave out --flow"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"lensscan: {said}; written files are kept\n")
    assert not (tmp_path / "shards").exists()


def raised(act):
    try:
        act()
    except Exception as error:  # noqa: BLE001 - the tests raise several types
        return error
    raise AssertionError("nothing was raised")


def unauthorised():
    httpx.Response(401, request=httpx.Request("GET", "http://127.0.0.1/api")).raise_for_status()


def broken():
    httpx.Response(500, request=httpx.Request("GET", "http://127.0.0.1/api")).raise_for_status()


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (lambda: httpx.get("http://127.0.0.1:1/api"), "does not answer"),
        (broken, "does not answer"),
        (unauthorised, "PREFECT_API_AUTH_STRING must be"),
    ],
)
def test_errors_of_the_client_blame_the_server(act, says):
    assert says in server_trouble(raised(act))


def test_a_parameter_out_of_range_is_named():
    error = raised(lambda: simulate.validate_parameters({"out_uri": "x", "min_einstein_radius_arcsec": 3.5}))
    said = server_trouble(error)
    assert "min_einstein_radius_arcsec: Input should be less than or equal to 3" in said
    assert "server" not in said
    assert "\n" not in said


@pytest.mark.parametrize("act", [lambda: 1 / 0, lambda: int("x"), lambda: subprocess.run(["nosuch-program"], check=True)])
def test_errors_of_other_code_are_not_the_servers(act):
    assert server_trouble(raised(act)) is None
