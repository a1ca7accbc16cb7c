"""The scan does not depend on its scheduler: a missing or killed Prefect server costs neither rows nor the catalogue."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.faults.harness import harm, patience
from tests.faults.harness.harm import recoveries
from tests.prefect_servers import BIN, PrefectServer, prefect_server
from tests.servers import free_port
from tests.tiles import write_tiles

FLOW = """
import datetime, sys
from flows.scan_night import scan_night
summary = scan_night(sys.argv[1], sys.argv[2], datetime.date(2026, 1, 1), candidate_threshold=0.0, workers=1)
print(summary.model_dump_json())
"""

pytestmark = [pytest.mark.fault(38), pytest.mark.ray]


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiles")
    write_tiles(folder, n_tiles=2, n_objects=2)
    return folder


@pytest.fixture(scope="module")
def undisturbed(tiles, tmp_path_factory):
    """Return the catalogue of a scan without a server."""
    root = tmp_path_factory.mktemp("undisturbed") / "catalogue"
    assert scan(tiles, root, {**os.environ})["rows_by_status"] == {"scored": 4}
    return root


def scan(tiles, root, env):
    command = [BIN / "lensscan", "scan", tiles, "--out", root, "--night", "2026-01-01", "--threshold", "0", "--workers", "1"]
    done = subprocess.run(
        [*command, "--json"], env=env, capture_output=True, text=True, timeout=patience.scaled(200), check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def start_flow(tiles, root, env):
    command = [sys.executable, "-W", "ignore", "-c", FLOW, str(tiles), str(root)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, env=env, start_new_session=True, **pipes)


UNITS = "_scan/units/**/*.unit"


def is_sealed(root):
    return any((root / "_scan" / "seals").glob("*.json"))


def check(root, undisturbed):
    """Check that every row of the undisturbed scan is there once with the same content, in the units and the candidates."""
    for pattern in (UNITS, "candidates/*.parquet"):
        (found, torn), (expected, _) = (harm.read_files(place.glob(pattern)) for place in (root, undisturbed))
        harm.assert_none(torn + harm.compare(*(pa.concat_tables(tables) for tables in (found, expected))))


def ids(root, pattern=UNITS):
    paths = sorted(root.glob(pattern))
    return sorted(i for path in paths for i in pq.read_table(path, columns=["object_id"])["object_id"].to_pylist())


@pytest.mark.faults
@pytest.mark.server
def test_a_flow_without_its_server_fails_in_one_line(tmp_path):
    command = [BIN / "lensscan", "simulate", "--flow", "--n", "2", "--geometry", "mer10", "--out", tmp_path / "shards"]
    done = subprocess.run(
        command, env=dead_server(tmp_path), capture_output=True, text=True, timeout=patience.scaled(120), check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"lensscan: the Prefect server at \S+ does not answer: .*unset PREFECT_API_URL.*\n", done.stderr)
    assert not (tmp_path / "shards").exists()


@pytest.mark.faults
@pytest.mark.server
def test_a_restarted_server_learns_how_the_flow_ended(tiles, undisturbed, tmp_path, measured):
    root = tmp_path / "catalogue"
    with prefect_server(tmp_path / "prefect") as server:
        flow = start_flow(tiles, root, server.env)
        patience.wait_for("a plan", (root / "_scan" / "plans").exists, process=flow)
        server.end(signal.SIGKILL)
        killed = time.time()
        assert not ids(root), "the kill must come before the scan"
        patience.wait_for("a seal", lambda: is_sealed(root), 200, flow)
        sealed_after_s = time.time() - killed
        server.start()
        output, _ = flow.communicate(timeout=patience.scaled(200))
        assert flow.returncode == 0, output
        runs = httpx.post(f"{server.url}/flow_runs/filter", json={}).json()
    assert [run["state_type"] for run in runs] == ["COMPLETED"]
    check(root, undisturbed)
    note = f"server killed mid-run: the scan was sealed {sealed_after_s:.1f} s later, without it"
    measured(recovery_s=max(recoveries([killed], root)), note=note)


@pytest.mark.faults
@pytest.mark.server
def test_a_scan_without_a_server_finishes_a_killed_flow(tiles, undisturbed, tmp_path, measured):
    root = tmp_path / "catalogue"
    with prefect_server(tmp_path / "prefect") as server:
        flow = start_flow(tiles, root, server.env)
        patience.wait_for("a plan", (root / "_scan" / "plans").exists, process=flow)
        server.end(signal.SIGKILL)
    os.killpg(flow.pid, signal.SIGKILL)
    flow.communicate()
    assert not is_sealed(root)
    env = dead_server(tmp_path)
    assert scan(tiles, root, env)["rows_by_status"] == {"scored": 4}
    check(root, undisturbed)
    assert scan(tiles, root, env)["units_by_outcome"] == {"already_committed": 2}
    measured(note="`lensscan scan` asks for no server, and finishes what a dead run left")


def dead_server(folder):
    """Return the environment of a program whose server is not running."""
    server = PrefectServer(folder / "away", port=free_port())
    server.folder.mkdir()
    return server.env
