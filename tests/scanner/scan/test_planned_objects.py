"""Objects of a scan are read again with the pixels that were scored."""

from pathlib import Path

import numpy as np
import pytest

from infra.store.storage import StorageError
from scanner.catalogue.find_units import find_input
from scanner.catalogue.plan import ScanConfig, make_plan
from scanner.scan.chosen_objects import read_objects
from scanner.scan.planned_objects import read_planned, together
from scanner.scan.unit_objects import read_unit_objects
from scanner.sources.shards import encode_shard, shard_table
from scanner.vocabulary.geometry import MER_10
from scanner.vocabulary.rejections import RejectCode, Rejection
from tests.scanner.catalogue_parts import NIGHT, EnsembleName
from tests.tiles import write_tiles


def plan_for(folder):
    return make_plan(NIGHT, EnsembleName(), ScanConfig(), find_input(str(folder)).units)


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiles")
    ids = write_tiles(folder, 2, 5)
    return folder, ids


def test_stamps_are_those_of_the_objects_in_the_tiles(tiles):
    folder, ids = tiles
    first, second = (unit.unit_id for unit in plan_for(folder).units)
    found = read_planned(plan_for(folder), {second: [int(ids[8]), int(ids[6])], first: [int(ids[1])]}, MER_10)
    assert sorted(found.object_ids.tolist()) == sorted(ids[[1, 6, 8]].tolist())
    expected = read_objects(str(folder), [str(i) for i in found.object_ids], MER_10, 8).stamps
    for band in MER_10.grids:
        np.testing.assert_array_equal(found.stamps[band], expected[band])
    assert not found.unusable


def test_ids_that_a_unit_does_not_hold_are_ignored(tiles):
    folder, ids = tiles
    first, _ = (unit.unit_id for unit in plan_for(folder).units)
    found = read_planned(plan_for(folder), {first: [int(ids[9]), 77], "no such unit": [1]}, MER_10)
    assert len(found.object_ids) == 0
    assert found.stamps == {}


def test_a_unit_that_changed_leaves_the_others(tmp_path):
    ids = write_tiles(tmp_path, 2, 3)
    plan = plan_for(tmp_path)
    first, second = plan.units
    catalogue = Path(first.files["catalogue"].uri)
    catalogue.write_bytes(catalogue.read_bytes() + b" " * 2880)
    found = read_planned(plan, {first.unit_id: [int(ids[0])], second.unit_id: [int(ids[4])]}, MER_10)
    assert found.object_ids.tolist() == [ids[4]]
    assert found.unusable.keys() == {int(ids[0])}
    assert catalogue.name in found.unusable[int(ids[0])]


def test_damage_at_the_end_leaves_no_object_usable(tiles, monkeypatch):
    """The checksum of a mosaic's last tile is wrong, for example."""
    folder, ids = tiles
    plan = plan_for(folder)

    def reads_then_fails(unit, *arguments):
        yield from read_unit_objects(unit, *arguments)
        if unit is plan.units[0]:
            raise Rejection(RejectCode.FITS_UNREADABLE, "VIS: the checksum is wrong")

    monkeypatch.setattr("scanner.scan.planned_objects.read_unit_objects", reads_then_fails)
    first, second = (unit.unit_id for unit in plan.units)
    found = read_planned(plan, {first: [int(ids[0]), int(ids[1])], second: [int(ids[6])]}, MER_10)
    assert found.object_ids.tolist() == [ids[6]]
    assert found.unusable.keys() == {int(ids[0]), int(ids[1])}
    assert found.unusable[int(ids[0])].endswith("VIS: the checksum is wrong")


def test_an_object_without_usable_pixels_has_its_reason(tmp_path):
    rng = np.random.default_rng(0)
    stamps = {b: rng.normal(size=(3, g.n_pixels, g.n_pixels)).astype(np.float32) for b, g in MER_10.grids.items()}
    stamps["VIS"][1] = 2.0
    (tmp_path / "a.parquet").write_bytes(encode_shard(shard_table(np.arange(3), stamps, {}, MER_10)))
    plan = plan_for(tmp_path)
    found = read_planned(plan, {plan.units[0].unit_id: [0, 1, 2]}, MER_10)
    assert found.object_ids.tolist() == [0, 2]
    np.testing.assert_array_equal(found.stamps["H"], stamps["H"][[0, 2]])
    assert found.unusable[1].startswith("constant: VIS")


def test_an_error_of_the_store_ends_the_reading(tiles, monkeypatch):
    folder, ids = tiles
    plan = plan_for(folder)

    def fail(_uri):
        raise StorageError("no route to the store")

    monkeypatch.setattr("scanner.catalogue.unit_inputs.info", fail)
    with pytest.raises(StorageError, match="no route to the store"):
        read_planned(plan, {plan.units[0].unit_id: [int(ids[0])]}, MER_10)


def test_pixels_that_may_be_read_later_end_the_reading(tiles, monkeypatch):
    folder, ids = tiles
    plan = plan_for(folder)

    def fail(*_arguments):
        raise Rejection(RejectCode.IO_ERROR, "VIS: the connection broke")

    monkeypatch.setattr("scanner.scan.open_unit.tile_batches", fail)
    with pytest.raises(StorageError, match="VIS: the connection broke"):
        read_planned(plan, {plan.units[0].unit_id: [int(ids[0])]}, MER_10)


def test_a_file_that_is_gone_leaves_the_others(tmp_path):
    ids = write_tiles(tmp_path, 2, 3)
    plan = plan_for(tmp_path)
    first, second = plan.units
    Path(first.files["VIS"].uri).unlink()
    found = read_planned(plan, {first.unit_id: [int(ids[0])], second.unit_id: [int(ids[4])]}, MER_10)
    assert found.object_ids.tolist() == [ids[4]]
    assert found.unusable[int(ids[0])].endswith("is gone")


def test_objects_of_several_plans_are_put_together(tiles):
    folder, ids = tiles
    plan = plan_for(folder)
    first, second = (unit.unit_id for unit in plan.units)
    parts = [read_planned(plan, {unit: [int(i)]}, MER_10) for unit, i in ((first, ids[2]), (second, ids[7]), (first, 77))]
    whole = together(parts)
    assert whole.object_ids.tolist() == [ids[2], ids[7]]
    np.testing.assert_array_equal(whole.stamps["VIS"], np.concatenate([part.stamps["VIS"] for part in parts[:2]]))
    assert len(together([]).object_ids) == 0
