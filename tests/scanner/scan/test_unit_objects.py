"""Objects of a unit are read by their ids, with the pixels, notes and zero points of a scan."""

import numpy as np

from scanner.catalogue.find_units import find_input
from scanner.catalogue.units import SelectedRows
from scanner.scan.chosen_objects import read_objects
from scanner.scan.unit_objects import read_unit_objects
from scanner.vocabulary.geometry import MER_10
from tests.tiles import write_tile


def test_asked_objects_come_with_pixels_and_zero_points(tmp_path):
    ids = write_tile(tmp_path, 1, 40)
    (unit,) = find_input(str(tmp_path)).units
    found = {one.object_id: one for one in read_unit_objects(unit, np.array([ids[3], ids[39], 77]), MER_10)}
    assert found.keys() == {int(ids[3]), int(ids[39])}
    read_again = read_objects(str(tmp_path), [str(ids[3])], MER_10, 1)
    assert read_again.ids == [str(ids[3])]
    np.testing.assert_array_equal(found[int(ids[3])].row.stamps["H"], read_again.stamps["H"][0])
    assert found[int(ids[39])].zero_points_ab_mag == dict.fromkeys(MER_10.grids, 24.6)


def test_nothing_is_read_for_ids_of_other_units(tmp_path):
    write_tile(tmp_path, 1, 3)
    (unit,) = find_input(str(tmp_path)).units
    assert list(read_unit_objects(unit, np.array([77]), MER_10)) == []


def test_rows_that_the_plan_skips_are_left_out(tmp_path):
    """The numbers of rows count the selected ones alone: every third object is skipped."""
    ids = write_tile(tmp_path, 1, 9)
    (unit,) = find_input(str(tmp_path)).units
    is_selected = np.arange(9) % 3 > 0
    some = unit.model_copy(update={"selected": SelectedRows.of(is_selected, ids)})
    every = {one.object_id: one.row.stamps["VIS"] for one in read_unit_objects(unit, ids, MER_10)}
    found = {one.object_id: one.row.stamps["VIS"] for one in read_unit_objects(some, ids, MER_10)}
    assert found.keys() == set(ids[is_selected].tolist())
    for object_id, image in found.items():
        np.testing.assert_array_equal(image, every[object_id])
