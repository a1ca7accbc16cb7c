"""Drivers are killed together with their own Ray at random times, each after it has committed units itself."""

import random
import signal
import time

import pytest

from tests.faults.harness.harm import recoveries
from tests.faults.harness.patience import wait_for
from tests.faults.harness.scanned_night import Night, done, kill_group, n_committed, scan_here, start

N_UNITS, N_ROWS, N_KILLS = 120, 4, 20
SLOW_S, MOST_COMMITS = "0.1", 5


def kill_after_commits(night, root, draw):
    """Start a driver and kill it after its k-th commit, or between that and the next.

    Returns:
        Time of the kill, and number of the driver's own commits; None if the driver ended before.
    """
    before = n_committed(root)
    wanted = before + draw.randint(1, MOST_COMMITS)
    process = start(night, root, "--workers", 1, FAULT_SLOW_S=SLOW_S)
    try:
        wait_for("a commit", lambda: n_committed(root) >= wanted or process.poll() is not None)
        time.sleep(draw.uniform(0, 0.3))
    finally:
        killed = time.time()
        kill_group(process)
    if process.returncode != -signal.SIGKILL:
        assert process.returncode == 0, process.stderr
        return None
    return killed, n_committed(root) - before


@pytest.mark.ray
@pytest.mark.faults
@pytest.mark.fault(4)
def test_twenty_drivers_killed_after_commits_lose_no_row(ray_cluster, tmp_path, measured):
    night = Night(tmp_path / "night", N_UNITS, N_ROWS, {}, scan=scan_here)
    draw, n_kills, commits, worst, n_nights = random.Random(4), 0, [], 0.0, 0
    while n_kills < N_KILLS:
        root, kills = tmp_path / f"catalogue-{n_nights}", []
        while n_kills + len(kills) < N_KILLS and (kill := kill_after_commits(night, root, draw)):
            assert kill[1] >= 1, "the driver must have committed a unit before the kill"
            kills.append(kill[0])
            commits.append(kill[1])
        assert kills
        done(start(night, root))
        night.check(root)
        n_kills, n_nights = n_kills + len(kills), n_nights + 1
        worst = max(worst, *recoveries(kills, root))
    note = f"each driver had committed {min(commits)} to {max(commits)} units itself when it and its Ray were killed"
    measured(driver_kills_ray=n_kills, recovery_s=worst, note=note)
