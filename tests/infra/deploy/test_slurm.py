"""The batch script starts a real Ray on addresses of loopback, scans and ends it. Slurm itself does not run here.

The stand-ins for `srun` and `scontrol` run the same commands on this machine; `#SBATCH` lines are read by no program.
"""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.infra.deploy.documents import DEPLOY
from tests.infra.deploy.slurm_nodes import allocation
from tests.servers import wait_for
from tests.tiles import write_tiles

SCRIPT = DEPLOY / "slurm" / "scan_night.sbatch"
needs_loopback = pytest.mark.skipif(
    not Path("/proc/self/cmdline").exists(), reason="needs Linux: all of 127.0.0.0/8 is loopback"
)
pytestmark = [pytest.mark.server, pytest.mark.ray]


def processes_of(job_id):
    """Return the command lines of the processes that speak to the Ray of a job, whose head has the port of its number."""
    port = str(20000 + job_id % 10000)
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if re.search(rf"127\.0\.0\.\d+:{port}\b|--gcs_server_port={port}\b|--port={port}\b", line):
            found.append(line)
    return found


@pytest.fixture
def job_id():
    """Return a number that gives each test process ports of its own."""
    return 1000 + 20 * (os.getpid() % 400)


@pytest.mark.slow
@needs_loopback
def test_two_nodes_scan_a_night_without_a_lost_one(tmp_path, job_id):
    write_tiles(tmp_path / "tiles", n_tiles=2, n_objects=3)
    env = allocation(tmp_path / "slurm", ["node2", "node3", "lost4"], job_id) | {"LENSSCAN_SLURM_WAIT_S": "20"}
    command = ["bash", SCRIPT, tmp_path / "tiles", tmp_path / "catalogue", "2026-11-24", "--maps", "0"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Ray has 2 of 3 cores" in done.stdout
    assert "no answer from lost4" in done.stderr
    (seal,) = (tmp_path / "catalogue" / "_scan" / "seals").glob("*.json")
    assert json.loads(seal.read_text())["rows_by_status"] == {"scored": 6}
    assert (tmp_path / "catalogue" / "candidates" / "2026-11-24.parquet").is_file()
    assert not list((tmp_path / "slurm" / "state").glob("*/token"))
    assert processes_of(job_id) == []


@needs_loopback
def test_the_end_of_the_time_ends_ray(tmp_path, job_id):
    """Slurm sends the signal two minutes before the end; then no process of Ray and no token may stay."""
    env = allocation(tmp_path / "slurm", ["node2"], job_id + 15)
    state = tmp_path / "slurm" / "state" / str(job_id + 15)
    command = ["bash", SCRIPT, tmp_path / "none", tmp_path / "catalogue", "none"]
    job = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wait_for("Ray", lambda: any("raylet" in line for line in processes_of(job_id + 15)), seconds=250)
    assert (state / "token").stat().st_mode & 0o777 == 0o600
    job.send_signal(signal.SIGTERM)
    _, said = job.communicate(timeout=150)
    assert job.returncode == 143, said
    assert not (state / "token").exists()
    wait_for("the end of Ray", lambda: processes_of(job_id + 15) == [], seconds=60)


def test_a_failed_scan_is_a_failed_job(tmp_path):
    done = subprocess.run(["bash", SCRIPT, "tiles"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.startswith("usage: sbatch")) == (2, True)


def test_slurm_starts_the_job_again_and_warns_it():
    options = dict(re.findall(r"^#SBATCH --([\w-]+)=?(.*)$", SCRIPT.read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert {"requeue", "no-kill", "exclusive"} <= options.keys()
    assert options["signal"] == "B:TERM@120"
