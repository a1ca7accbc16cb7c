"""Workers of scans under default settings, with sweep and maps, are killed inside units again and again."""

import pytest

from tests.faults.harness.harm import recoveries
from tests.faults.harness.killer import scan_with_kills
from tests.faults.harness.scanned_night import Night, scan_here

N_UNITS, N_ROWS, N_KILLS = 90, 12, 105


@pytest.mark.ray
@pytest.mark.faults
@pytest.mark.fault(1)
def test_a_hundred_workers_killed_inside_units_change_nothing(ray_cluster, tmp_path, measured):
    night = Night(tmp_path / "night", N_UNITS, N_ROWS, {}, scan=scan_here)
    n_kills, n_units, worst, n_nights = 0, 0, 0.0, 0
    while n_kills < N_KILLS:
        root = tmp_path / f"catalogue-{n_nights}"
        summary, killer = scan_with_kills(night, root, N_KILLS - n_kills, seed=n_nights)
        assert summary["n_workers_lost"] >= len(killer.kills) > 0
        night.check(root)
        n_kills, n_units, n_nights = n_kills + len(killer.kills), n_units + len(killer.units), n_nights + 1
        worst = max(worst, *recoveries(killer.kills, root))
    note = f"the {n_kills} interrupted {n_units} units of {n_nights * N_UNITS} at random times, with sweep and maps"
    measured(worker_kills=n_kills, recovery_s=worst, note=note)
