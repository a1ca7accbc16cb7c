"""Scans whose workers and drivers die, lose their node or their cluster; Ray is real, and so is what kills them."""

import json
import os
import random
import signal
import subprocess
import time

import pytest

from tests.faults.scanned_night import N_UNITS, done, end, kill_group, n_committed, start
from tests.faults.worker_faults import CRASH_STEPS

pytestmark = [pytest.mark.ray, pytest.mark.faults]


@pytest.mark.fault(1, 2)
def test_a_worker_that_dies_after_any_step_is_replaced_and_nothing_is_done_twice(night, root, measured):
    summary = done(start(night, root, FAULT_CRASH_AFTER=",".join(CRASH_STEPS)))
    assert summary["n_workers_lost"] >= len(CRASH_STEPS), summary
    # Of the worker that died after publishing, the next one finds the file and leaves it alone.
    assert summary["units_by_outcome"].get("already_committed", 0) >= 1
    night.check(root)
    measured(runs=len(CRASH_STEPS), note="a worker killed after each step; 10 units")


@pytest.mark.fault(3)
def test_units_of_a_node_that_dies_are_done_elsewhere(night, root, measured):
    summary = done(start(night, root, "--kill-node-after", 1, FAULT_SLOW_S="1"))
    assert summary["n_workers_lost"] >= 1, summary
    night.check(root)
    measured(note="two nodes of one CPU, one removed without warning after the first commit")


@pytest.mark.fault(4)
def test_a_killed_driver_is_started_again_until_the_night_is_done(night, root, measured):
    draw = random.Random(4)
    n_kills, worst = 0, 0.0
    for _ in range(60):
        begun, before = time.monotonic(), n_committed(root)
        process = start(night, root)
        patience = draw.uniform(0, 12)
        while process.poll() is None and time.monotonic() < begun + patience:
            time.sleep(0.02)
            if n_committed(root) > before:
                worst, before = max(worst, time.monotonic() - begun), N_UNITS
        is_over = process.poll() is not None
        kill_group(process)
        if is_over:
            break
        n_kills += 1
        if n_kills == 20:
            break
    done(start(night, root))
    night.check(root)
    assert n_kills >= 3
    measured(runs=n_kills, worst_recovery_s=round(worst, 2), note="driver and Ray killed at random times")


@pytest.mark.fault(5)
def test_after_the_death_of_the_head_a_new_cluster_goes_on(night, root, measured):
    process = start(night, root, RAY_gcs_rpc_server_reconnect_timeout_s="5")
    try:
        deadline = time.monotonic() + 60
        while n_committed(root) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        gcs = subprocess.run(["pgrep", "-g", str(process.pid), "-f", "gcs_server"], capture_output=True, text=True, check=False)
        pids = [int(pid) for pid in gcs.stdout.split()]
        assert pids
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        died = time.monotonic()
        _, said = process.communicate(timeout=100)
        ended_after_s = time.monotonic() - died
        assert process.returncode != 0
        assert "Traceback" not in said
    finally:
        kill_group(process)
    done(start(night, root))
    night.check(root)
    measured(worst_recovery_s=round(ended_after_s, 1), note="GCS killed; the driver ends by itself, the next run goes on")


@pytest.mark.fault(9)
def test_replies_that_ray_loses_change_nothing(night, root, measured):
    chaos = {"*": {"num_failures": -1, "req_failure_prob": 10, "resp_failure_prob": 10, "in_flight_failure_prob": 5}}
    ends = [end(start(night, root, RAY_testing_rpc_failure=json.dumps(chaos))) for _ in range(2)]
    n_through = sum(isinstance(one, dict) for one in ends)
    # Now and then Ray itself ends of it. Then the next run goes on.
    assert n_through >= 1, ends
    done(start(night, root))
    night.check(root)
    measured(
        runs=len(ends),
        note=f"a quarter of all calls inside Ray lose request or reply; {n_through} of {len(ends)} runs came through",
    )
