"""Test of the nightly deployment with a real Prefect server, `prefect deploy` and a worker that writes a catalogue."""

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.prefect_servers import BIN, prefect_server
from tests.tiles import write_tiles

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.server


@pytest.fixture
def server(tmp_path, prefect_tables):
    with prefect_server(tmp_path / "prefect", auth="operator:guarded", tables=prefect_tables) as started:
        yield started


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


@pytest.fixture
def prefect(server, tmp_path):
    """Run `prefect` with each of some lists of arguments against the server."""
    env = {
        **server.env,
        "LENSSCAN_CHECKOUT": str(ROOT),
        "LENSSCAN_TILES": str(tmp_path / "tiles" / "{night}"),
        "LENSSCAN_CATALOGUE": str(tmp_path / "catalogue"),
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    }

    def run(*commands):
        command = [sys.executable, "-c", COMMANDS, json.dumps(commands)]
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    return run


def test_the_nightly_deployment_is_scheduled_and_run_by_a_worker(server, prefect, tmp_path):
    write_tiles(tmp_path / "tiles" / "2026-01-02", n_tiles=1, n_objects=4)
    prefect(
        ("work-pool", "create", "lensscan", "--type", "process"),
        ("--no-prompt", "deploy", "--prefect-file", "infra/deploy/prefect.yaml", "--name", "nightly"),
    )
    asking = {"auth": ("operator", "guarded"), "timeout": 60}
    deployment = httpx.get(f"{server.url}/deployments/name/scan-night/nightly", **asking).raise_for_status().json()
    assert [s["schedule"]["cron"] for s in deployment["schedules"]] == ["0 14 * * *"]
    assert deployment["parameters"] == {
        "input_uri": str(tmp_path / "tiles" / "{night}"),
        "root_uri": str(tmp_path / "catalogue"),
    }

    prefect(
        ("deployment", "run", "scan-night/nightly", "--param", 'night="2026-01-02"'),
        ("worker", "start", "--pool", "lensscan", "--run-once"),
    )

    seals = list((tmp_path / "catalogue" / "_scan" / "seals").glob("*.json"))
    assert len(seals) == 1
    report = json.loads(seals[0].read_text())
    assert report["n_rows"] == 4
    assert report["rows_by_status"] == {"scored": 4}
    artefacts = httpx.post(f"{server.url}/artifacts/filter", json={}, **asking).raise_for_status().json()
    assert "scan-2026-01-02" in {artefact["key"] for artefact in artefacts}
    results = list((tmp_path / "prefect" / "client" / "storage").iterdir())
    assert any("candidates_uri" in path.read_text() for path in results), "the flow's result is kept as JSON"
