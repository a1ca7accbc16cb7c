"""Retries with a real Prefect server: after errors of the infrastructure, and after no others."""

import json
import subprocess
import sys

import pytest

from tests.prefect_servers import prefect_server
from tests.sources import ROOT

FLOWS = """
import json
from prefect import flow
import flows.retries
from flows.retries import retried
from infra.errors import ClusterAccessError, ClusterError, LensscanError
from infra.store.files import PlaceError, StorageError

flows.retries.DELAYS_S = (0.0, 0.0)

def run(n_failures, kind):
    tries = []

    def step():
        tries.append(1)
        if len(tries) <= n_failures:
            raise kind("broken")
        return len(tries)

    @flow(name="tried")
    def tried():
        return retried("step", step)

    try:
        return [tried(), len(tries)]
    except Exception as error:
        return [type(error).__name__, len(tries)]

kinds = (StorageError, ClusterError, ConnectionResetError, PlaceError, ClusterAccessError, LensscanError, ValueError)
print(json.dumps([run(2, kind) for kind in kinds] + [run(9, StorageError)]))
"""

pytestmark = pytest.mark.server


def test_only_errors_of_the_infrastructure_are_tried_again(tmp_path, prefect_tables):
    with prefect_server(tmp_path / "prefect", tables=prefect_tables) as server:
        env = {**server.env, "PYTHONPATH": str(ROOT), "PREFECT_LOGGING_LEVEL": "CRITICAL"}
        command = [sys.executable, "-W", "ignore", "-c", FLOWS]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [
        [3, 3],
        [3, 3],
        [3, 3],
        ["PlaceError", 1],
        ["ClusterAccessError", 1],
        ["LensscanError", 1],
        ["ValueError", 1],
        ["StorageError", 3],
    ]
