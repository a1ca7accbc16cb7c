"""`--log-json` writes records of one run, from driver and workers, with its id also in the record of the run, and no secret."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from scanner.catalogue.runs import run_records
from tests.faults.harness.canaries import Canaries
from tests.servers import free_port
from tests.tiles import write_tiles

LENSSCAN = Path(sys.executable).with_name("lensscan")
N_TILES, N_ROWS = 2, 3

pytestmark = pytest.mark.server


def a_process(*args, cwd, **env):
    """Run `lensscan` as a user does, in a process that does its own imports."""
    return subprocess.run([LENSSCAN, *args], env=os.environ | env, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture
def scan(lensscan, tmp_path):
    """Return a function that scans with logs in JSON, and returns how the command ended and its records."""
    write_tiles(tmp_path / "tiles", N_TILES, N_ROWS)

    def run(*args, start=lensscan, **env):
        done = start("scan", "tiles", "--workers", "1", "--maps", "0", *args, cwd=tmp_path, **env)
        return done, [json.loads(line) for line in done.stderr.splitlines()]

    return run


def check(records, run_id):
    of_run = [record for record in records if record["run_id"]]
    assert {record["run_id"] for record in of_run} == {run_id}
    assert {record["night"] for record in of_run} == {"2026-11-24"}
    committed = [record for record in of_run if record["logger"] == "scanner.workers.unit_scanner"]
    assert sorted(record["unit"] for record in committed) == ["000000001", "000000002"]
    assert all(f"{N_ROWS} rows, {N_ROWS} scored" in record["message"] for record in committed)
    assert any("the run ends" in record["message"] for record in of_run)


def test_one_run_id_joins_driver_workers_and_record(scan, tmp_path):
    """Not in forks, which have imported all modules already: what a module prints on import is no record."""
    done, records = scan("--out", "catalogue", "--night", "2026-11-24", "--log-json", "--json", start=a_process)
    assert done.returncode == 0, done.stderr
    (record,) = run_records(str(tmp_path / "catalogue"))
    check(records, record.run_id)
    assert json.loads(done.stdout)["rows_by_status"] == {"scored": N_TILES * N_ROWS}


@pytest.mark.slow
@pytest.mark.ray
def test_actors_log_the_same_run_in_the_files_of_ray(scan, tmp_path):
    # Ray's sockets need a short path.
    short = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))
    env = {"LENSSCAN_LOG": "json", "RAY_TMPDIR": str(short), "HOME": str(tmp_path)}
    done, records = scan("--out", "catalogue", "--night", "2026-11-24", "--ray-address", "local", **env)
    assert done.returncode == 0, done.stderr
    (record,) = run_records(str(tmp_path / "catalogue"))
    lines = [line for path in short.rglob("worker-*.err") for line in path.read_text().splitlines() if line.startswith("{")]
    check([*records, *map(json.loads, lines)], record.run_id)
    shutil.rmtree(short, ignore_errors=True)


def test_a_mistake_is_a_record_without_secrets(scan):
    canaries = Canaries()
    env = {
        "AWS_ACCESS_KEY_ID": canaries.aws_key,
        "AWS_SECRET_ACCESS_KEY": canaries.aws_token,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    env["AWS_ENDPOINT_URL"] = canaries.endpoint(f"http://127.0.0.1:{free_port()}")
    done, records = scan("--out", "s3://bucket/catalogue", LENSSCAN_LOG="json", **env)
    assert done.returncode == 2
    assert records[-1]["level"] == "ERROR" or any(record["level"] == "ERROR" for record in records)
    for secret in (canaries.aws_key, canaries.aws_token, canaries.endpoint_user, canaries.endpoint_password):
        assert secret not in done.stderr + done.stdout
