"""Row 35: an object that is twice in one file is refused; an object in overlapping tiles is scanned once."""

import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from astropy.io import fits

from flows.commands.plan import describe_plan
from scanner.catalogue.audit.reconcile import reconcile
from scanner.catalogue.plan import ScanConfig, build_plan, find_plans, load_plan
from scanner.catalogue.units import PlanError
from scanner.networks.locate import SHIPPED_DIR
from scanner.scan.request import ScanRequest
from scanner.workers.run import scan_night
from tests.faults.harness.harm import assert_none, compare
from tests.faults.harness.patience import scaled
from tests.scanner.audited import IDS, make_audited
from tests.scanner.catalogue_parts import NIGHT, EnsembleName, write_shard
from tests.tiles import write_tile

LENSSCAN = Path(sys.executable).with_name("lensscan")


def command(*args):
    return subprocess.run([str(LENSSCAN), *map(str, args)], capture_output=True, text=True, timeout=scaled(200), check=False)


def catalogue_of(folder, tile_number):
    return next(folder.glob(f"EUC_MER_FINAL-CAT_TILE{tile_number:09d}-*.fits"))


def rename_objects(folder, tile_number, ids):
    """Give the first objects of a tile other ids."""
    with fits.open(catalogue_of(folder, tile_number), mode="update", checksum=True) as hdus:
        hdus[1].data["OBJECT_ID"][: len(ids)] = ids


@pytest.mark.fault(35)
def test_a_repeated_id_in_a_tile_is_refused(tmp_path):
    ids = write_tile(tmp_path / "tiles", 1, 4)
    rename_objects(tmp_path / "tiles", 1, [ids[3]])
    with pytest.raises(PlanError, match=rf"000000001: 1 repeated object id\(s\), such as {ids[3]}"):
        build_plan(str(tmp_path / "tiles"), NIGHT, EnsembleName(), ScanConfig())
    request = ScanRequest(input_uri=str(tmp_path / "tiles"), night=date.fromisoformat(NIGHT), package=SHIPPED_DIR / "mer3-sim")
    with pytest.raises(PlanError, match=r"1 repeated object id\(s\)"):
        scan_night(request, str(tmp_path / "catalogue"))
    assert not [path for path in (tmp_path / "catalogue").rglob("*") if path.is_file()]


@pytest.mark.fault(35)
def test_an_object_in_two_files_belongs_to_the_first(tmp_path):
    night = make_audited(tmp_path, str(tmp_path / "catalogue"))
    night.scan()
    night.seal()
    found = reconcile(night.plan, night.root)
    assert found.is_equal
    assert (found.n_owned_elsewhere, found.duplicate_ids.n) == (1, 0)
    assert found.n_rows == sum(map(len, IDS.values())) - 1
    shown = describe_plan(str(night.input)).input
    assert (shown.rows, shown.rows_in_overlaps) == (8, 1)


@pytest.mark.fault(35)
def test_later_copies_of_a_file_own_no_rows(tmp_path):
    for name in "abc":
        write_shard(tmp_path / "input" / f"{name}.parquet", [1, 2, 3])
    plan = build_plan(str(tmp_path / "input"), NIGHT, EnsembleName(), ScanConfig())
    assert [unit.n_rows for unit in plan.units] == [3, 0, 0]


@pytest.mark.fault(35)
@pytest.mark.faults
@pytest.mark.ray
def test_overlapping_tiles_are_scanned_once_for_real(tmp_path, measured):
    tiles, root = tmp_path / "tiles", tmp_path / "catalogue"
    first, second = write_tile(tiles, 1, 4), write_tile(tiles, 2, 4)
    rename_objects(tiles, 2, first[:2])
    done = command("scan", tiles, "--out", root, "--night", NIGHT, "--threshold", "0", "--workers", "1", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["n_rows"] == 6
    proof = command("reconcile", root, "--json")
    assert proof.returncode == 0, proof.stdout
    (found,) = json.loads(proof.stdout)["plans"]
    assert (found["n_owned_elsewhere"], found["n_scored"], found["duplicate_ids"]["n"]) == (2, 6, 0)
    plan = load_plan(str(root), find_plans(str(root))[0])
    assert [unit.owned_elsewhere for unit in plan.units] == [(), tuple(sorted(first[:2].tolist()))]
    rows = command("query", root, "--sql", "SELECT object_id FROM scores ORDER BY object_id", "--json")
    planned = [{"object_id": object_id} for object_id in sorted([*first.tolist(), *second[2:].tolist()])]
    assert_none(compare(json.loads(rows.stdout), planned))
    measured(runs=1)
