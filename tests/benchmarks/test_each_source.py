"""Hits of each source's arcs, on maps and masks set by hand."""

import numpy as np

from tests.benchmarks.each_source import hits_beside, on_cells


def masks(*cells):
    found = np.zeros((1, 5, 5), bool)
    for y, x in cells:
        found[0, y, x] = True
    return found


def test_the_highest_cell_off_the_other_arc_decides():
    maps = np.zeros((1, 5, 5))
    maps[0, 0, 0], maps[0, 4, 4], maps[0, 2, 2] = 3, 2, 1
    first, second = masks((0, 0)), masks((4, 4))
    assert hits_beside(maps, first, second, 0).all()
    assert hits_beside(maps, second, first, 0).all()
    # Without an arc there, the map's second peak is a miss.
    assert not hits_beside(maps, masks((2, 2)), first, 0).any()
    assert hits_beside(maps, masks((2, 2)), masks((0, 0), (4, 4)), 0).all()


def test_slack_widens_both_arcs():
    maps = np.zeros((1, 5, 5))
    maps[0, 1, 1], maps[0, 3, 4] = 3, 2
    assert hits_beside(maps, masks((4, 4)), masks((0, 0)), 1).all()
    assert not hits_beside(maps, masks((4, 4)), masks((0, 0)), 0).any()


def test_cells_on_both_arcs_count_for_both():
    maps = np.zeros((1, 5, 5))
    maps[0, 1, 1] = 1
    assert hits_beside(maps, masks((1, 1)), masks((1, 1), (2, 2)), 1).all()


def test_cells_with_a_part_of_an_arc_are_on_it():
    mask = np.zeros((1, 100, 100), bool)
    mask[0, 10, 89], mask[0, 9, 0] = True, True
    found = on_cells(mask, 8)
    assert found.sum() == 1
    assert found[0, 0, 7]


def test_a_constant_map_misses():
    assert not hits_beside(np.ones((1, 5, 5)), masks((0, 0)), masks((4, 4)), 1).any()
