"""Test of `ray job submit -- lensscan scan …` with a Ray head of its own on loopback, with its token."""

import json
import subprocess
import sys
from urllib.request import Request

import pyarrow.parquet as pq
import pytest

from tests.job_servers import BIN, job_server
from tests.servers import http_status
from tests.sources import ROOT
from tests.tiles import write_tiles

pytestmark = [pytest.mark.server, pytest.mark.ray]


@pytest.fixture
def ray_head(tmp_path_factory):
    """Yield the address of the job server and the environment that holds its token."""
    with job_server(tmp_path_factory.mktemp("ray")) as started:
        yield started


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
        "--maps",
        "0",
        "--workers",
        "1",
    )
    done = submit(address, env, work, *map(str, scan))
    assert done.returncode == 0, done.stdout + done.stderr
    rows = pq.read_table(next((tmp_path / "catalogue" / "candidates").rglob("*.parquet"))).to_pylist()
    assert sorted(row["object_id"] for row in rows) == sorted(ids.tolist())
    assert json.loads(next((tmp_path / "catalogue" / "_scan" / "seals").glob("*.json")).read_text())["n_rows"] == 6


SCAN_BY_JOB = """
import sys
from flows.commands.scan_job import scan_by_job
from flows.commands.scan_options import ScanOrder
for order in sys.argv[2:]:
    try:
        def progress(done, total):
            print("rows", done, total)
        print(scan_by_job(sys.argv[1], ScanOrder.model_validate_json(order), print, progress).model_dump_json())
    except Exception as error:
        print(type(error).__name__, error)
"""


@pytest.mark.slow
def test_a_flow_gets_the_result_of_its_job(ray_head, tmp_path):
    address, env = ray_head
    ids = write_tiles(tmp_path / "tiles" / "2026-01-03", n_tiles=1, n_objects=3)
    options = {"maps_per_unit": 0, "workers": 1, "candidate_threshold": 0, "gate": True}
    order = {"input_uri": "tiles/{night}", "root_uri": "catalogue", "night": "2026-01-03", "options": options}
    orders = [order, order, {**order, "input_uri": "nosuch"}]
    command = [sys.executable, "-W", "ignore", "-c", SCAN_BY_JOB, address, *map(json.dumps, orders)]
    env = env | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    first, again = (json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"night"'))
    assert first["units_by_outcome"] == {"committed": 1}
    assert again["units_by_outcome"] == {"already_committed": 1}
    assert first["rows_by_status"] == {"scored": len(ids)}
    assert first["awaits_gate"]
    told = [
        tuple(map(int, line.split()[1:]))
        for line in done.stdout.partition('{"night"')[0].splitlines()
        if line.startswith("rows")
    ]
    assert told[-1] == (len(ids), len(ids))
    assert told == sorted(told)
    assert "LENSSCAN-" not in done.stdout
    # The job ran elsewhere, and found the places all the same.
    assert first["candidates_uri"].startswith(str(tmp_path / "catalogue"))
    said = [line for line in done.stdout.splitlines() if "Ray job" in line]
    assert [line.split(" at ")[0].replace(" Ray job", "").split("-")[0] for line in said] == ["submitted lensscan"] * 3
    names = [line.split()[3] for line in said]
    assert names[1] == f"{names[0]}-2"
    # A wrong input is no reason to try again.
    assert done.stdout.splitlines()[-1].startswith(f"ScanJobError {tmp_path}/nosuch")
