"""The nightly deployment for real: a Prefect server, `prefect deploy`, a worker, and the catalogue it leaves."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import free_port, http_status, stop, wait_for
from tests.tiles import write_tiles

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent

pytestmark = pytest.mark.server


@pytest.fixture
def prefect(tmp_path):
    """A server of its own on loopback, and a function that runs the `prefect` command against it."""
    port = free_port()
    env = {
        **os.environ,
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_API_AUTH_STRING": "operator:guarded",
        "PREFECT_API_AUTH_STRING": "operator:guarded",
        "PREFECT_CLI_COLORS": "false",
        "LENSSCAN_CHECKOUT": str(ROOT),
        "LENSSCAN_TILES": str(tmp_path / "tiles" / "{night}"),
        "LENSSCAN_CATALOGUE": str(tmp_path / "catalogue"),
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    }
    with (tmp_path / "server.log").open("w") as log:
        server = subprocess.Popen(
            [BIN / "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)],
            env=env,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_for("the Prefect server", lambda: http_status(f"http://127.0.0.1:{port}/api/health") == 200)

            def run(*args, timeout=180):
                done = subprocess.run(
                    [BIN / "prefect", *args], cwd=ROOT, env=env, capture_output=True, text=True, timeout=timeout, check=False
                )
                assert done.returncode == 0, done.stdout + done.stderr
                return done.stdout

            yield run
        finally:
            stop(server)


def test_the_nightly_deployment_is_scheduled_and_run_by_a_worker(prefect, tmp_path):
    write_tiles(tmp_path / "tiles" / "2026-01-02", n_tiles=1, n_objects=4)
    prefect("work-pool", "create", "lensscan", "--type", "process")
    prefect("--no-prompt", "deploy", "--prefect-file", "infra/deploy/prefect.yaml", "--name", "nightly")
    deployment = json.loads(prefect("deployment", "inspect", "scan-night/nightly", "--output", "json"))
    assert [s["schedule"]["cron"] for s in deployment["schedules"]] == ["0 14 * * *"]
    assert deployment["parameters"] == {
        "input_uri": str(tmp_path / "tiles" / "{night}"),
        "root_uri": str(tmp_path / "catalogue"),
    }

    prefect("deployment", "run", "scan-night/nightly", "--param", 'night="2026-01-02"')
    prefect("worker", "start", "--pool", "lensscan", "--run-once", timeout=240)

    seals = list((tmp_path / "catalogue" / "seals").glob("*.json"))
    assert len(seals) == 1
    report = json.loads(seals[0].read_text())
    assert report["n_rows"] == 4
    assert report["rows_by_status"] == {"scored": 4}
    artefacts = prefect("artifact", "ls")
    assert "scan-2026-01-02" in artefacts
    results = list((tmp_path / "prefect" / "storage").iterdir())
    assert any("candidates_uri" in path.read_text() for path in results), "the flow's result is kept as JSON"
