"""The nightly deployment for real: a Prefect server, `prefect deploy`, a worker, and the catalogue it leaves."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.prefect_servers import BIN, prefect_server
from tests.tiles import write_tiles

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.server


@pytest.fixture
def prefect(tmp_path):
    """Run the `prefect` command against a server of this test's own."""
    with prefect_server(tmp_path / "prefect", auth="operator:guarded") as server:
        env = {
            **server.env,
            "LENSSCAN_CHECKOUT": str(ROOT),
            "LENSSCAN_TILES": str(tmp_path / "tiles" / "{night}"),
            "LENSSCAN_CATALOGUE": str(tmp_path / "catalogue"),
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        }

        def run(*args, timeout=180):
            done = subprocess.run(
                [BIN / "prefect", *args], cwd=ROOT, env=env, capture_output=True, text=True, timeout=timeout, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout

        yield run


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
    results = list((tmp_path / "prefect" / "client" / "storage").iterdir())
    assert any("candidates_uri" in path.read_text() for path in results), "the flow's result is kept as JSON"
