"""Scans whose workers are killed at named steps or lose their node or cluster, on a real Ray with real kills."""

import json
import os
import signal
import subprocess
import time

import pytest

from infra.steps import Step
from tests.faults.harness.harm import recoveries
from tests.faults.harness.patience import scaled, wait_for
from tests.faults.harness.scanned_night import done, end, kill_group, n_committed, start
from tests.faults.harness.worker_faults import CRASH_STEPS

pytestmark = [pytest.mark.ray, pytest.mark.faults]


@pytest.mark.fault(1, 2)
def test_a_worker_killed_at_any_step_is_replaced(night, root, tmp_path, measured):
    flags = tmp_path / "flags"
    flags.mkdir()
    summary = done(start(night, root, FAULT_CRASH_AT=",".join(CRASH_STEPS), FAULT_FLAGS=str(flags)))
    crashed = {path.name.removeprefix("crashed-"): path.stat().st_ctime for path in flags.iterdir()}
    assert sorted(crashed) == sorted(CRASH_STEPS)
    assert summary["n_workers_lost"] >= len(CRASH_STEPS), summary
    # The next worker finds the file of the worker that was killed after publishing, and leaves it alone.
    assert summary["units_by_outcome"].get("already_committed", 0) >= 1
    night.check(root)
    published = crashed.pop(Step.CREATED)
    worst = max(recoveries(sorted(crashed.values()), root))
    measured(row=1, worker_kills=len(crashed), recovery_s=worst, note=f"a worker killed at each of {', '.join(crashed)}")
    measured(
        row=2, worker_kills=1, recovery_s=max(recoveries([published], root)), note="a worker killed after it had published"
    )


@pytest.mark.fault(3)
def test_units_of_a_lost_node_are_scanned_elsewhere(night, root, measured):
    summary = done(start(night, root, "--kill-node-after", 1, FAULT_SLOW_S="1"))
    assert summary["n_workers_lost"] >= 1, summary
    night.check(root)
    measured(note="two nodes of one CPU, one removed without warning after the first commit")


@pytest.mark.fault(5)
def test_a_new_cluster_continues_after_the_head_dies(night, root, measured):
    process = start(night, root, FAULT_SLOW_S="0.5", RAY_gcs_rpc_server_reconnect_timeout_s="5")
    try:
        wait_for("two commits", lambda: n_committed(root) >= 2, process=process)
        gcs = subprocess.run(["pgrep", "-g", str(process.pid), "-f", "gcs_server"], capture_output=True, text=True, check=False)
        pids = [int(pid) for pid in gcs.stdout.split()]
        assert pids
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        died = time.time()
        _, said = process.communicate(timeout=scaled(100))
        ended_after_s = time.time() - died
        assert process.returncode != 0
        assert "Traceback" not in said
    finally:
        kill_group(process)
    done(start(night, root))
    night.check(root)
    note = f"GCS killed; the driver ended by itself after {ended_after_s:.1f} s, and the next run went on"
    measured(recovery_s=max(recoveries([died], root)), note=note)


@pytest.mark.fault(9)
def test_replies_lost_inside_ray_change_nothing(night, root, measured):
    chaos = {"*": {"num_failures": -1, "req_failure_prob": 10, "resp_failure_prob": 10, "in_flight_failure_prob": 5}}
    ends = [end(start(night, root, RAY_testing_rpc_failure=json.dumps(chaos))) for _ in range(2)]
    n_through = sum(isinstance(one, dict) for one in ends)
    # Now and then Ray itself exits because of lost replies; the next run then continues.
    assert n_through >= 1, ends
    done(start(night, root))
    night.check(root)
    measured(
        runs=len(ends),
        note=f"a quarter of all calls inside Ray lose request or reply; {n_through} of {len(ends)} runs came through",
    )
