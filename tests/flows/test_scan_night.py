"""Tests with a real scan: worker counts, repeats, SIGKILL at any time, and S3 do not change the catalogue."""

import contextlib
import inspect
import json
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cyclopts import ValidationError

from flows.cli.main import app
from flows.cli.main import scan as command
from infra.store.storage import create_if_absent, join
from scanner.catalogue.map_columns import MAP_COLUMNS
from scanner.scan.request import ScanRequest
from scanner.vocabulary.choices import MAPS_PER_UNIT, MOST_MAPS_PER_UNIT
from tests.faults.harness.harm import assert_none, compare, read_files, recoveries
from tests.faults.harness.patience import wait_for
from tests.faults.harness.scanned_night import fetch
from tests.tiles import write_tile, write_tiles

LENSSCAN = Path(sys.executable).with_name("lensscan")
N_TILES, N_OBJECTS, N_MAPS = 6, 3, 1
N_ATTEMPTS = 5
BARE = f"{N_TILES + 1:09d}"
"""Tile that has a catalogue and no mosaic."""
PATTERNS = ("_scan/units/*/*.unit", "_scan/sealed/*", "candidates/*.parquet")


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    """Write tiles, and the catalogue of one more that has no mosaic; return the folder and the ids in the tiles."""
    folder = tmp_path_factory.mktemp("night") / "tiles"
    write_tile(folder, N_TILES + 1, N_OBJECTS)
    for path in folder.glob("*MOSAIC*"):
        path.unlink()
    return folder, write_tiles(folder, N_TILES, N_OBJECTS)


def scan_command(tiles, root, workers=2, ray=None):
    options = ("--night", "2026-01-01", "--threshold", "0", "--maps", N_MAPS, "--workers", workers, "--json")
    options += ("--ray-address", ray) if ray else ()
    return [str(part) for part in (LENSSCAN, "scan", tiles, "--out", root, *options)]


@pytest.fixture(scope="module")
def scan(lensscan):
    """Scan to the end and return the summary."""

    def run(tiles, root, workers=2, ray=None):
        done = lensscan(*scan_command(tiles, root, workers, ray)[1:])
        # One tile cannot be scanned.
        assert done.returncode == 1, done.stderr
        return json.loads(done.stdout)

    return run


def catalogue(root):
    return pq.read_table(Path(root) / "candidates")


def unit_files(root):
    return sorted(Path(root).glob(PATTERNS[0]))


def unit_rows(root):
    paths = unit_files(root)
    return paths, [row for path in paths for row in pq.read_table(path).to_pylist()]


@pytest.fixture(scope="module")
def undisturbed(tiles, scan, tmp_path_factory):
    """Return the catalogue of an undisturbed scan, without Ray."""
    root = tmp_path_factory.mktemp("undisturbed") / "catalogue"
    summary = scan(tiles[0], root)
    assert summary["rows_by_status"] == {"scored": N_TILES * N_OBJECTS}
    assert [(tile["tile"], tile["reason"]) for tile in summary["tiles_left_out"]] == [(BARE, "no_mosaic")]
    return root


@pytest.mark.server
def test_one_worker_on_s3_gives_the_catalogue_of_two(tiles, scan, lensscan, undisturbed, s3, tmp_path):
    for path in tiles[0].iterdir():
        create_if_absent(join(s3, "tiles", path.name), path.read_bytes(), "test")
    scan(join(s3, "tiles"), join(s3, "catalogue"), workers=1)
    one, two = catalogue(fetch(join(s3, "catalogue"), tmp_path / "copy")), catalogue(undisturbed)
    numbers, maps = number_columns(one), [column.name for column in MAP_COLUMNS]
    # The plan id depends on the URI of the input.
    apart = ["plan_id", *numbers, *maps]
    assert one.drop_columns(apart).equals(two.drop_columns(apart))
    # The last digits depend on the number of threads.
    for name in numbers:
        assert one[name].to_numpy() == pytest.approx(two[name].to_numpy(), abs=1e-5, nan_ok=True)
    for name in maps:
        assert one[name].is_valid().equals(two[name].is_valid())
        pixels = [np.array(table[name].drop_null().to_pylist(), int) for table in (one, two)]
        assert np.abs(pixels[0] - pixels[1]).max() <= (5 if name == "map_occlusion" else 1)
    asked = json.loads(lensscan("query", join(s3, "catalogue"), "--json", "--limit", "100").stdout)
    for name in ("object_id", "p_lens"):
        assert [row[name] for row in asked] == pytest.approx(one[name].to_pylist(), abs=1e-6)


def number_columns(table):
    prefixes = ("p_", "attribution_", "occlusion_")
    return [name for name in table.column_names if name.startswith(prefixes) or name == "disagreement"]


def test_the_best_candidates_of_each_tile_have_maps(undisturbed):
    table = catalogue(undisturbed).to_pandas()
    for _, rows in table.groupby("tile"):
        best = rows.sort_values(["p_lens", "object_id"], ascending=[False, True])
        assert best["map_guided"].notna().tolist() == [True] * N_MAPS + [False] * (N_OBJECTS - N_MAPS)


def test_command_and_scan_have_the_same_default_of_maps():
    default = ScanRequest.model_fields["maps_per_unit"].default
    assert default == inspect.signature(command).parameters["maps"].default == MAPS_PER_UNIT
    for n, is_allowed in ((MOST_MAPS_PER_UNIT, True), (MOST_MAPS_PER_UNIT + 1, False)):
        tokens = ["scan", "tiles", "--out", "out", "--night", "2026-01-01", "--maps", str(n)]
        if is_allowed:
            assert app.parse_args(tokens, exit_on_error=False, print_error=False)[1].arguments["maps"] == n
        else:
            with pytest.raises(ValidationError):
                app.parse_args(tokens, exit_on_error=False, print_error=False)


@pytest.mark.fault(10)
def test_a_second_scan_of_a_night_writes_nothing(tiles, scan, lensscan, undisturbed):
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in undisturbed.rglob("*") if path.is_file()}
    parts = {pattern: read_files(undisturbed.glob(pattern))[0] for pattern in PATTERNS}
    summary = scan(tiles[0], undisturbed)
    assert summary["units_by_outcome"] == {"already_committed": N_TILES}
    for_people = [part for part in scan_command(tiles[0], undisturbed)[1:] if part != "--json"]
    told = lensscan(*for_people).stdout
    assert f"{N_TILES} already done (nothing to do)" in told
    assert f"1 tile with a catalogue and no mosaic: {BARE}" in told
    after = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in undisturbed.rglob("*") if path.is_file()}
    assert before == after
    for pattern, expected in parts.items():
        found, torn = read_files(undisturbed.glob(pattern))
        assert_none(torn + compare(pa.concat_tables(found), pa.concat_tables(expected)))


def kill_after_commits(tiles, root, wanted, workers, ray):
    """Start the command, and SIGKILL it with all its processes once `wanted` units are committed.

    Return the number of committed units, or None if the command ended before the kill.
    """
    command = scan_command(tiles, root, workers, ray)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        wait_for("commits", lambda: len(unit_files(root)) >= wanted and (root / "_scan" / "plans").exists(), process=process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        _, said = process.communicate()
    if process.returncode != -signal.SIGKILL:
        # It ended before the kill, and one tile cannot be scanned.
        assert process.returncode == 1, said
        return None
    return len(unit_files(root))


@pytest.mark.fault(4)
@pytest.mark.parametrize("kills", [(1,), pytest.param((0, 1, 3), marks=pytest.mark.faults)])
@pytest.mark.parametrize(
    "ray", [None, pytest.param("local", marks=[pytest.mark.ray, pytest.mark.faults])], ids=["processes", "ray"]
)
def test_a_rerun_after_sigkill_gives_the_same_catalogue(tiles, scan, undisturbed, tmp_path, measured, kills, ray):
    """Bit for bit, with Ray and without; after one kill without Ray, which spares its start."""
    # Each worker of Ray takes many seconds of a core to start.
    workers = 1 if ray and len(kills) == 1 else 2
    for attempt in range(N_ATTEMPTS):
        root = tmp_path / f"catalogue-{attempt}"
        committed_at_kill = [kill_after_commits(tiles[0], root, wanted, workers, ray) for wanted in kills]
        # On a busy machine the night may end before this process checks again.
        if None not in committed_at_kill and committed_at_kill[0] < N_TILES:
            break
    assert None not in committed_at_kill, "each command must be killed"
    assert committed_at_kill[0] < N_TILES, "the kill must come before the end"
    killed = time.time()
    summary = scan(tiles[0], root, ray=ray if len(kills) > 1 else None)
    # A worker that outlives its driver for a moment may have committed one more.
    assert summary["units_by_outcome"]["already_committed"] >= committed_at_kill[-1] >= kills[-1]
    assert len(unit_files(root)) == N_TILES
    for pattern in PATTERNS:
        (found, torn), (expected, _) = (read_files(place.glob(pattern)) for place in (root, undisturbed))
        assert_none(torn + compare(pa.concat_tables(found), pa.concat_tables(expected)))
    assert sorted(row["object_id"] for row in unit_rows(root)[1]) == sorted(tiles[1].tolist())
    assert catalogue(root).equals(catalogue(undisturbed))
    assert len(list(root.rglob("*.parquet"))) == 1
    # Count only kills of commands that had committed a unit themselves.
    n_counted = sum(after > before for before, after in pairwise([0, *committed_at_kill]))
    note = f"the command killed with {', '.join(map(str, committed_at_kill))} of {N_TILES} tiles committed"
    recovery_s = max(recoveries([killed], root), default=None)
    measured(runs=len(kills), **{f"driver_kills_{'ray' if ray else 'no_ray'}": n_counted}, recovery_s=recovery_s, note=note)
