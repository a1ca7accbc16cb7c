"""Test of `ray job submit -- lensscan scan …` with a Ray head of its own on loopback, with its token."""

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path
from urllib.request import Request

import pyarrow.parquet as pq
import pytest

from tests.servers import free_port, http_status, stop, wait_for
from tests.tiles import write_tiles

BIN = Path(sys.executable).parent

pytestmark = [pytest.mark.server, pytest.mark.ray]


@pytest.fixture
def ray_head(tmp_path_factory):
    """Yield the address of the job server and the environment that holds its token."""
    folder = tmp_path_factory.mktemp("ray")
    token = folder / "token"
    token.write_text(secrets.token_hex(32))
    env = {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    env.pop("RAY_ADDRESS", None)
    # Ports above 20000, where Ray's own worker ports end.
    ports = [free_port(above=20000) for _ in range(4)]
    options = (
        f"--port={ports[0]} --dashboard-port={ports[1]} --ray-client-server-port={ports[2]} "
        f"--dashboard-agent-listen-port={ports[3]} --dashboard-host=127.0.0.1 --node-ip-address=127.0.0.1 --num-cpus=2"
    )
    with (folder / "head.log").open("w") as log:
        head = subprocess.Popen(
            [BIN / "ray", "start", "--head", "--block", *options.split()], env=env, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            address = f"http://127.0.0.1:{ports[1]}"
            wait_for("the Ray head", lambda: http_status(f"{address}/api/version") == 401)
            yield address, env
        finally:
            stop(head)


def submit(address, env, folder, *command):
    return subprocess.run(
        [BIN / "ray", "job", "submit", "--address", address, "--working-dir", ".", "--", *command],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.mark.fault(37)
def test_a_submitted_job_scans_and_seals_a_catalogue(ray_head, tmp_path):
    address, env = ray_head
    ids = write_tiles(tmp_path / "tiles", n_tiles=2, n_objects=3)
    work = tmp_path / "work"
    work.mkdir()
    (work / "note.txt").write_text("the job's working directory")

    # The request that `ray job submit` makes, without the token.
    job = json.dumps({"entrypoint": "lensscan --version"}).encode()
    assert http_status(Request(f"{address}/api/jobs/", job, {"Content-Type": "application/json"})) == 401

    scan = (
        "lensscan",
        "scan",
        tmp_path / "tiles",
        "--out",
        tmp_path / "catalogue",
        "--night",
        "2026-01-03",
        "--threshold",
        "0",
        "--workers",
        "1",
    )
    done = submit(address, env, work, *map(str, scan))
    assert done.returncode == 0, done.stdout + done.stderr
    rows = pq.read_table(next((tmp_path / "catalogue" / "candidates").rglob("*.parquet"))).to_pylist()
    assert sorted(row["object_id"] for row in rows) == sorted(ids.tolist())
    assert json.loads(next((tmp_path / "catalogue" / "_scan" / "seals").glob("*.json")).read_text())["n_rows"] == 6
