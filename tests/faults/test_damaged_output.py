"""Row 32: any damaged committed file is named, set aside, and restored byte for byte."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.store.storage import read_bytes
from scanner.catalogue.audit.reconcile import reconcile
from scanner.catalogue.audit.repair import repair_plan
from scanner.catalogue.audit.verify import verify_plan
from scanner.catalogue.plan import freeze
from tests.faults.harness import harm, patience
from tests.scanner.audited import flipped, make_audited, replace
from tests.tiles import write_tiles

LENSSCAN = Path(sys.executable).with_name("lensscan")
PARTS = ("plan", "seal", "candidates", "unit")
PARTS_OF_ROWS = ("_scan/units", "_scan/sealed", "candidates")


def damages(data):
    """Yield damaged versions of the bytes: emptied, truncated, extended, with a hole or with a flipped bit."""
    yield b""
    yield from (data[: len(data) * tenth // 10] for tenth in range(1, 10, 2))
    yield data[:-1]
    yield data + b"\0"
    yield data[: len(data) // 3] + b"\0" * (len(data) // 3) + data[2 * (len(data) // 3) :]
    yield from (flipped(data, len(data) * part // 7) for part in range(7))


@pytest.mark.fault(32)
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(
    ("kind", "which"),
    [
        # An emptied file and a flipped bit; in a store, of which the same bytes are read, a file cut in its middle.
        ("path", slice(0, None, 11)),
        pytest.param("s3", slice(3, 4), marks=pytest.mark.server),
        pytest.param("path", slice(None), marks=pytest.mark.faults),
        pytest.param("s3", slice(None, None, 2), marks=[pytest.mark.faults, pytest.mark.server]),
    ],
    ids=["path-some", "s3-one", "path-all", "s3-half"],
)
def test_repair_and_a_new_scan_restore_the_same_bytes(request, tmp_path, measured, kind, which, part):
    root = request.getfixturevalue("s3") if kind == "s3" else str(tmp_path / "catalogue")
    night = make_audited(tmp_path, root)
    night.scan()
    night.seal()
    before, good = night.contents(), read_bytes(night.uri(part))
    worst, n_runs = 0.0, 0
    for damaged in list(damages(good))[which]:
        replace(night.uri(part), damaged)
        start = time.monotonic()
        named = {fault.uri for fault in verify_plan(night.plan.plan_id, root, deep=True).faults}
        assert named == {night.uri(part)} or damaged == good
        assert part == "plan" or not reconcile(night.plan, root).is_equal
        touched = {moved.uri for moved in repair_plan(night.plan.plan_id, root)}
        assert touched <= {night.uri(name) for name in ("seal", "candidates")} | {night.uri(part)}
        freeze(night.plan, root)
        night.scan()
        night.seal()
        worst, n_runs = max(worst, time.monotonic() - start), n_runs + 1
        found = night.contents()
        harm.assert_none(harm.compare_catalogues(found, before))
        assert found == before
        assert reconcile(night.plan, root).is_equal
    measured(runs=n_runs, recovery_s=worst)


def command(*args):
    done = subprocess.run(
        [str(LENSSCAN), *map(str, args)], capture_output=True, text=True, timeout=patience.scaled(200), check=False
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done


def rows_of(folder):
    paths = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    return pa.concat_tables(pq.read_table(path, partitioning=None) for path in paths)


@pytest.mark.fault(32)
@pytest.mark.faults
@pytest.mark.ray
def test_the_commands_restore_a_damaged_night(tmp_path, measured):
    ids = write_tiles(tmp_path / "tiles", 3, 4)
    root = tmp_path / "catalogue"
    scan = ("scan", tmp_path / "tiles", "--out", root, "--night", "2026-01-01", "--threshold", "0", "--workers", "1", "--json")
    assert command(*scan).returncode == 0
    before = {part: rows_of(root / part) for part in PARTS_OF_ROWS}
    assert command("reconcile", root).returncode == command("verify", root, "--deep").returncode == 0
    start = time.monotonic()
    unit, candidates = next(root.glob("_scan/units/*/*")), next(root.glob("_scan/sealed/*"))
    for path in (unit, candidates):
        replace(str(path), flipped(path.read_bytes(), path.stat().st_size // 2))
    found = command("verify", root, "--deep")
    assert found.returncode == 1
    assert str(unit) in found.stdout
    assert str(candidates) in command("verify", root).stdout
    assert command("reconcile", root).returncode == 1
    repaired = command("repair", root)
    assert repaired.returncode == 0
    assert "1 of 3 units pending; scan 2026-01-01 again" in repaired.stdout
    assert command("seal", root).returncode == 2
    again = command(*scan)
    outcomes = json.loads(again.stdout)["units_by_outcome"]
    assert outcomes == {"already_committed": 2, "committed": 1}
    recovery = time.monotonic() - start
    for command_line in (("verify", root, "--deep"), ("reconcile", root), ("seal", root)):
        assert command(*command_line).returncode == 0
    after = {part: rows_of(root / part) for part in PARTS_OF_ROWS}
    assert sorted(after["_scan/units"]["object_id"].to_pylist()) == sorted(ids.tolist())
    # One worker with as many threads as before: the scores are the same to the last digit.
    for part, table in after.items():
        harm.assert_none(harm.compare(table, before[part]))
    assert all(after[part].equals(before[part]) for part in PARTS_OF_ROWS)
    note = "a unit and the candidates damaged; found, repaired and scanned again by the commands"
    measured(recovery_s=recovery, work_done_again=outcomes["committed"] / sum(outcomes.values()), note=note)
