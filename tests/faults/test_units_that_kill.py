"""Scans with rows, files and units that crash, hang or exhaust their workers, on a real Ray with real crashes."""

import time
from pathlib import Path

import pytest

from tests.faults.harness.patience import busyness
from tests.faults.harness.scanned_night import BAD, N_ROWS, N_UNITS, done, end, n_committed, rows, start

pytestmark = [pytest.mark.ray, pytest.mark.faults]
DEADLINE_S = 20


def deadline():
    """Return the deadline of a unit in seconds: on a busy machine, units that do not hang take longer too."""
    return round(DEADLINE_S * busyness())


@pytest.mark.fault(6)
def test_a_hanging_worker_is_killed_at_its_deadline(night, root, measured):
    begun, deadline_s = time.monotonic(), deadline()
    summary = done(start(night, root, "--start-s", deadline_s, "--row-s", 0, FAULT_ROW="hang_once"))
    assert summary["n_workers_lost"] == 1, summary
    night.check(root)
    measured(note=f"the whole night took {time.monotonic() - begun:.0f} s, with a deadline of {deadline_s:.0f} s a unit")


@pytest.mark.fault(6)
def test_units_that_always_hang_are_given_up(night, root):
    said = end(start(night, root, "--start-s", deadline(), "--row-s", 0, FAULT_ROW="hang"), 400)
    assert "UnitsFailedError: 2 of 10 shards could not be scanned" in said
    assert "shard-00003" in said
    assert n_committed(root) == N_UNITS - 2
    assert not (Path(root) / "_scan" / "seals").exists()
    assert done(start(night, root))["units_by_outcome"] == {"already_committed": 8, "committed": 2}
    night.check(root)


@pytest.mark.fault(7)
def test_only_the_rows_that_crash_workers_are_rejected(night, root, measured):
    summary = done(start(night, root, FAULT_ROW="segfault"))
    assert summary["rows_by_status"] == {"scored": N_UNITS * N_ROWS - 3, "rejected:worker_crash": 3}, summary
    night.check(root, without=night.poison)
    night.check_rejected(root, "rejected:worker_crash")
    # For each of two units: a crash with neighbours and two alone. For each of three rows: one more crash, the halves of 24
    # rows and the row alone.
    assert summary["n_workers_lost"] <= 2 * 3 + 3 * (1 + 5 + 1)
    n_lost = summary["n_workers_lost"]
    measured(runs=3, note=f"three rows of {N_UNITS * N_ROWS} raise SIGSEGV; {n_lost} workers lost until all were found")


@pytest.mark.fault(7)
def test_a_file_that_crashes_its_reader_is_given_up(night, root):
    said = end(start(night, root, FAULT_READER="segfault"))
    assert "UnitsFailedError: 2 of 10 shards could not be scanned" in said
    assert "no single row is the cause" in said
    assert {row["status"] for row in rows(root)[0]} == {"scored"}
    assert n_committed(root) == N_UNITS - 2
    done(start(night, root))
    night.check(root)


@pytest.mark.fault(8)
@pytest.mark.parametrize("fault", ["memory_error", "balloon"])
def test_a_unit_above_memory_is_scanned_in_smaller_batches(night, root, fault, measured):
    used = _memory_used_fraction()
    environment = {"RAY_memory_usage_threshold": f"{min(used + 0.2, 0.95):.3f}", "RAY_memory_monitor_refresh_ms": "100"}
    summary = done(start(night, root, FAULT_ROW=fault, **(environment if fault == "balloon" else {})))
    assert summary["rows_by_status"] == {"scored": N_UNITS * N_ROWS}, summary
    night.check(root)
    lost = summary["n_workers_lost"]
    measured(runs=len(BAD), note=f"{fault}: {len(BAD)} units of {N_ROWS} rows passed in smaller batches, {lost} workers lost")


def _memory_used_fraction():
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
    total, available = (int(lines[name].split()[0]) for name in ("MemTotal", "MemAvailable"))
    return 1 - available / total
