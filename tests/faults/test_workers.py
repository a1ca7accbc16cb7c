"""Scans whose workers die, hang, run out of memory or lose their node; Ray is real, and so is what kills them."""

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.faults.scanned_night import BAD, N_ROWS, N_UNITS, Night, done, end, kill_group, n_committed, rows, start
from tests.faults.worker_faults import CRASH_STEPS

pytestmark = [pytest.mark.ray, pytest.mark.faults]


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    made = Night(tmp_path_factory.mktemp("night"))
    assert made.undisturbed["rows_by_status"] == {"scored": N_UNITS * N_ROWS}, made.undisturbed
    return made


@pytest.fixture
def root(tmp_path):
    return tmp_path / "catalogue"


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


@pytest.mark.fault(6)
def test_a_worker_that_hangs_is_killed_at_its_deadline_and_its_unit_done_again(night, root, measured):
    begun = time.monotonic()
    summary = done(start(night, root, "--start-s", 6, "--row-s", 0, FAULT_ROW="hang_once"))
    assert summary["n_workers_lost"] == 1, summary
    night.check(root)
    measured(worst_recovery_s=round(time.monotonic() - begun, 1), note="deadline 6 s; time of the whole night")


@pytest.mark.fault(6)
def test_units_that_hang_for_ever_are_given_up_and_all_others_committed(night, root):
    said = end(start(night, root, "--start-s", 6, "--row-s", 0, FAULT_ROW="hang"))
    assert "UnitsFailedError: 2 of 10 units could not be scanned" in said
    assert "shard-00003" in said
    assert n_committed(root) == N_UNITS - 2
    assert not (Path(root) / "seals").exists()
    assert done(start(night, root))["units_by_outcome"] == {"already_committed": 8, "committed": 2}
    night.check(root)


@pytest.mark.fault(7)
def test_rows_that_crash_workers_are_found_and_rejected_and_all_others_scored(night, root, measured):
    summary = done(start(night, root, FAULT_ROW="segfault"))
    poison = {unit * N_ROWS + row for unit, places in BAD.items() for row in places}
    assert summary["rows_by_status"] == {"scored": N_UNITS * N_ROWS - 3, "rejected:worker_crash": 3}, summary
    found, n_files = rows(root)
    assert {row["object_id"] for row in found if row["status"] == "rejected:worker_crash"} == poison
    assert (rows(root, without=poison)[0], n_files) == rows(night.golden, without=poison)
    # A death in company and two alone, then for each of three rows one more, the halves of 24 rows and the row alone.
    assert summary["n_workers_lost"] <= 2 * 3 + 3 * (1 + 5 + 1)
    measured(runs=3, note=f"three rows of 240 raise SIGSEGV; {summary['n_workers_lost']} workers lost until all were found")


@pytest.mark.fault(7)
def test_a_file_that_crashes_whoever_reads_it_is_given_up_and_no_row_is_blamed(night, root):
    said = end(start(night, root, FAULT_READER="segfault"))
    assert "UnitsFailedError: 2 of 10 units could not be scanned" in said
    assert "no single row is to blame" in said
    assert {row["status"] for row in rows(root)[0]} == {"scored"}
    assert n_committed(root) == N_UNITS - 2
    done(start(night, root))
    night.check(root)


@pytest.mark.fault(8)
@pytest.mark.parametrize("fault", ["memory_error", "balloon"])
def test_a_unit_too_large_for_memory_is_scanned_in_smaller_batches(night, root, fault, measured):
    used = _memory_used_fraction()
    environment = {"RAY_memory_usage_threshold": f"{min(used + 0.2, 0.95):.3f}", "RAY_memory_monitor_refresh_ms": "100"}
    summary = done(start(night, root, FAULT_ROW=fault, **(environment if fault == "balloon" else {})))
    assert summary["rows_by_status"] == {"scored": N_UNITS * N_ROWS}, summary
    night.check(root)
    lost = summary["n_workers_lost"]
    measured(runs=2, note=f"{fault}: two units of 24 rows pass in batches of 4, {lost} workers lost")


def _memory_used_fraction():
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
    total, available = (int(lines[name].split()[0]) for name in ("MemTotal", "MemAvailable"))
    return 1 - available / total


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
