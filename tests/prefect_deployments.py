"""The deployments of infra/deploy/prefect.yaml on a private Prefect server, and workers that run them, as an operator does."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid

import httpx

from tests.prefect_servers import BIN
from tests.sources import ROOT

COMMANDS = """
import json, sys
from prefect.cli import app
for command in json.loads(sys.argv[1]):
    sys.argv = ["prefect", *command]
    try:
        app()
    except SystemExit as end:
        if end.code:
            raise
"""
"""Runs commands of Prefect one after the other in one process: the imports take four seconds of a core."""
FILE = "infra/deploy/prefect.yaml"
N_TRIES = 10
"""A server with an SQLite database answers HTTP 503 while other clients keep it busy."""


class Deployments:
    """The deployments on a server; `variables` are further ones of all processes, among them the places."""

    def __init__(self, server, **variables):
        self.server = server
        path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
        self.env = {**server.env, "LENSSCAN_CHECKOUT": str(ROOT), "PATH": path, **variables}

    def prefect(self, *commands):
        """Run `prefect` with each of some lists of arguments."""
        command = [sys.executable, "-c", COMMANDS, json.dumps(commands)]
        done = subprocess.run(command, cwd=ROOT, env=self.env, capture_output=True, text=True, timeout=400, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def deploy(self, *names):
        wanted = [part for name in names for part in ("--name", name)] or ["--all"]
        self.prefect(
            ("work-pool", "create", "lensscan", "--type", "process"),
            ("--no-prompt", "deploy", "--prefect-file", FILE, *wanted),
        )

    def asked(self, method, path, **content):
        auth = tuple(self.server.auth.split(":")) if self.server.auth else None
        asking = {"json": content} if method == "POST" else {}
        for _ in range(N_TRIES):
            answer = httpx.request(method, f"{self.server.url}{path}", auth=auth, timeout=60, **asking)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            time.sleep(2)
        return answer.raise_for_status().json()

    def start(self, name, **parameters):
        """Schedule a run of a deployment now, and return its id."""
        deployment = self.asked("GET", f"/deployments/name/{name}")
        # With the key, a request that is sent again makes no second run.
        asked = {"parameters": parameters, "idempotency_key": uuid.uuid4().hex}
        return self.asked("POST", f"/deployments/{deployment['id']}/create_flow_run", **asked)["id"]

    def state(self, run):
        return self.asked("GET", f"/flow_runs/{run}")["state"]

    def wait(self, run, *types, seconds=240):
        """Wait until a run is in a state of these types, and return the state."""
        deadline = time.monotonic() + seconds
        while (state := self.state(run))["type"] not in types:
            assert time.monotonic() < deadline, (state, self.logs(run))
            time.sleep(0.5)
        return state

    def logs(self, run):
        found = self.asked("POST", "/logs/filter", logs={"flow_run_id": {"any_": [run]}}, sort="TIMESTAMP_ASC")
        return [entry["message"] for entry in found]

    @contextlib.contextmanager
    def worker(self):
        """Run a worker, and kill it with the flows that it has started when the block ends."""
        command = [sys.executable, "-c", COMMANDS, json.dumps([["worker", "start", "--pool", "lensscan"]])]
        with (self.server.folder / "worker.log").open("a") as log:
            process = subprocess.Popen(
                command, cwd=ROOT, env=self.env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
            try:
                yield process
            finally:
                kill_tree(process.pid)
                process.wait(40)


def kill_tree(pid):
    """SIGKILL a process and all that it has started: a worker's flows are in sessions of their own."""
    for child in children(pid):
        kill_tree(child)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:  # noqa: PTH123
            return [int(child) for child in file.read().split()]
    except OSError:
        return []
