"""The gravest faults of scans, once each on one small night; `make faults` repeats them on a larger scale."""

import logging
import re
import threading
import time

import pytest

from infra.store.files import StoreRefusedError
from infra.store.storage import create_if_absent, join
from tests.faults.harness.harm import recoveries
from tests.faults.harness.killer import scan_with_kills
from tests.faults.harness.patience import wait_for
from tests.faults.harness.s3_proxy import Refuse, Rule
from tests.faults.harness.scanned_night import Night, fetch, scan_here, scan_without_ray, unit_files
from tests.faults.harness.small_disk import enlarge, small_disk

N_UNITS, N_ROWS = 6, 4
BAD = {2: (1,)}
"""Row with a fault, by number of the unit; rows without a fault come before and after it."""


@pytest.fixture(scope="module")
def night(forked_workers, tmp_path_factory):
    return Night(tmp_path_factory.mktemp("short") / "night", N_UNITS, N_ROWS, BAD, scan=scan_without_ray)


@pytest.mark.faults
@pytest.mark.ray
@pytest.mark.fault(1)
def test_a_worker_killed_inside_a_unit_changes_no_row(ray_cluster, night, root, measured):
    summary, killer = scan_with_kills(night, root, 1, FAULT_SLOW_S="0.5")
    assert summary["n_workers_lost"] >= len(killer.kills) == 1
    night.check(root)
    measured(worker_kills=1, recovery_s=max(recoveries(killer.kills, root)))


@pytest.mark.faults
@pytest.mark.ray
@pytest.mark.fault(7)
def test_only_the_row_that_crashes_workers_is_rejected(ray_cluster, night, root, measured):
    summary = scan_here(night, root, FAULT_ROW="segfault")
    night.check(root, without=night.poison)
    night.check_rejected(root, "rejected:worker_crash")
    # The workers crash once with neighbours and twice alone, then in the first half and twice on the row that is left. Ray may
    # attribute one crash to the node.
    assert 6 <= summary["n_workers_lost"] <= 7
    measured(note=f"{summary['n_workers_lost']} workers lost until one row of {N_UNITS * N_ROWS} was found")


@pytest.mark.fault(33)
def test_a_full_disk_ends_a_scan_at_once(night, tmp_path, caplog, measured):
    golden = {path: path.stat().st_size for path in (night.golden / "_scan").rglob("*") if path.is_file()}
    units = [size for path, size in golden.items() if path.suffix == ".unit"]
    with small_disk(tmp_path / "disk", f"size={sum(golden.values()) - sum(units) // 2}") as disk:
        begun = time.monotonic()
        advice = (
            rf"\.unit: cannot be created: No space left on device\. (\d) of {N_UNITS} shards are safe \(shard-.*\); make room"
        )
        with pytest.raises(StoreRefusedError, match=advice) as caught:
            scan_without_ray(night, disk / "catalogue")
        assert time.monotonic() - begun < 20
        n_safe = int(re.search(advice, str(caught.value))[1])
        assert len(unit_files(disk / "catalogue")) == n_safe < N_UNITS
        assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
        enlarge(disk, "size=64m")
        summary = scan_without_ray(night, disk / "catalogue")
        assert summary["units_by_outcome"] == {"already_committed": n_safe, "committed": N_UNITS - n_safe}
        night.check(disk / "catalogue")
    measured(note=f"ended with {n_safe} of {N_UNITS} units safe, and finished once there was room")


@pytest.mark.fault(17)
@pytest.mark.server
def test_a_scan_waits_until_its_store_is_back(night, s3, proxy, tmp_path, caplog, measured):
    source, root = join(s3, "shards"), join(s3, "catalogue")
    for path in sorted(night.source.iterdir()):
        create_if_absent(join(source, path.name), path.read_bytes(), "test")
    proxy.set_rules()
    n_refused = []

    def go_away():
        """Make the store unreachable from the first commit until a unit has failed because of that."""
        wait_for("a commit", lambda: proxy.count("PUT", "/units/.*unit", ""))
        proxy.set_rules(Rule(Refuse()))
        wait_for("a unit that failed", lambda: ": the store failed (" in caplog.text)
        n_refused.append(proxy.count(fault="Refuse"))
        proxy.set_rules()

    outage = threading.Thread(target=go_away)
    outage.start()
    summary = scan_without_ray(night, root, source=source, FAULT_STORE_TRIES="1", FAULT_SLOW_S="0.2")
    outage.join()
    assert (summary["rows_by_status"], summary["n_workers_lost"]) == ({"scored": N_UNITS * N_ROWS}, 0)
    assert n_refused, "the store must have been unreachable"
    assert proxy.count("DELETE") == 0
    night.check(fetch(root, tmp_path / "copy"))
    measured(note=f"all {n_refused[0]} requests refused from the first commit until a unit failed")
