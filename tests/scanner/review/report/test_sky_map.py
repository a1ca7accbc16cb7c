"""Maps: candidates lie inside the cells of the scanned area, RA grows to the left, and far fields have maps of their own."""

import re

import numpy as np
import pytest
from matplotlib.path import Path

from scanner.review.report.coverage import Coverage
from scanner.review.report.sky_map import MOST_FIELDS, Place, sky_maps

NONE = (np.zeros(0), np.zeros(0))


def box(rng, n, side_deg, ra, dec):
    away = rng.uniform(-0.5, 0.5, (2, n)) * side_deg
    return (ra + away[0] / np.cos(np.radians(dec))) % 360, dec + away[1]


def cells_of(*boxes, is_scored=True):
    coverage = Coverage()
    for ra, dec in boxes:
        coverage.add(ra, dec, np.full(len(ra), is_scored))
    return coverage.cells()


def places(ra, dec):
    return [Place(i + 1, f"c{i}", "single", float(a), float(d)) for i, (a, d) in enumerate(zip(ra, dec, strict=True))]


def polygons(path):
    """Return the corners of the polygons of a path, by hand."""
    found = []
    for first, steps in re.findall(r"M([-\d. ]+)l([-\d. ]+)z", path):
        numbers = [float(number) for number in steps.split()]
        offsets = np.array(numbers).reshape(-1, 2).cumsum(axis=0)
        found.append(np.vstack([np.zeros(2), offsets]) + [float(number) for number in first.split()])
    return found


@pytest.mark.parametrize("centre", [(52.9, -28.1), (0.0, 0.0), (269.7, 66.0), (10.0, 89.9), (200.0, -75.0)])
def test_objects_lie_in_the_cells_that_hold_them(rng, centre):
    ra, dec = box(rng, 3000, 0.2, *centre)
    cells = cells_of((ra, dec))
    (found,) = sky_maps(cells, places(ra[:40], dec[:40]), (ra[40:60], dec[40:60]))
    shapes = polygons(found.scored)
    assert (len(shapes), found.unscored) == (len(cells.number), "")
    marks = np.array([(mark.x, mark.y) for mark in found.marks])
    assert [mark.place.number for mark in found.marks] == [*range(1, 41)]
    dots = np.array(re.findall(r"M([\d.]+) ([\d.]+)h0", found.dots), float)
    assert len(dots) == 20
    inside = np.array([Path(shape).contains_points(np.vstack([marks, dots]), radius=0.3) for shape in shapes])
    outside = np.array([Path(shape).contains_points(np.vstack([marks, dots]), radius=-0.3) for shape in shapes])
    assert (inside | outside).any(axis=0).all()
    assert 0 < found.height <= 640


def test_right_ascension_grows_to_the_left_and_declination_up():
    ra, dec = np.array([10.0, 10.3, 10.0]), np.array([0.0, 0.0, 0.3])
    (found,) = sky_maps(cells_of(box(np.random.default_rng(1), 20_000, 1, 10.1, 0.1)), places(ra, dec), NONE)
    first, east, north = found.marks
    assert east.x < first.x == pytest.approx(north.x, abs=0.5)
    assert north.y < first.y == pytest.approx(east.y, abs=0.5)


def test_cells_without_a_score_have_their_own_shape(rng):
    cells = cells_of(box(rng, 500, 0.2, 10, 0), is_scored=False)
    (found,) = sky_maps(cells, [], NONE)
    assert (found.scored, len(polygons(found.unscored))) == ("", len(cells.number))


def test_far_fields_have_maps_of_their_own(rng):
    centres = [(52.9, -28.1), (269.7, 66.0), (61.2, -48.4)]
    cells = cells_of(*(box(rng, 20_000 * (i + 1), 2.0 + i, *centre) for i, centre in enumerate(centres)))
    at = places(*zip(*centres, strict=True))
    whole, *fields = sky_maps(cells, at, NONE)
    assert (whole.title, [field.title for field in fields]) == ("The scanned area", ["Field 1", "Field 2", "Field 3"])
    # The largest field comes first, and each candidate is on the map of its field alone.
    assert [[mark.place.name for mark in field.marks] for field in fields] == [["c2"], ["c1"], ["c0"]]
    assert whole.marks == ()
    assert [label.text for label in whole.labels if len(label.text) == 1] == ["1", "2", "3"]
    assert "a" in whole.frame
    assert sum(len(polygons(field.scored)) for field in fields) == len(cells.number)


@pytest.mark.parametrize("n", [1, MOST_FIELDS + 1])
def test_one_field_or_many_share_a_map(rng, n):
    cells = cells_of(*(box(rng, 2000, 0.1, 10 + 3 * i, 0) for i in range(n)))
    assert len(sky_maps(cells, [], NONE)) == 1


def test_neighbouring_tiles_are_one_field(rng):
    cells = cells_of(*(box(rng, 20_000, 0.5, 10 + 0.52 * i, 0) for i in range(3)))
    assert len(sky_maps(cells, [], NONE)) == 1


def test_the_whole_sky_is_an_ellipse_of_whole_cells(rng):
    ra, dec = rng.uniform(0, 360, 30_000), np.degrees(np.arcsin(rng.uniform(-1, 1, 30_000)))
    cells = cells_of((ra, dec))
    (found,) = sky_maps(cells, places(ra[:5], dec[:5]), NONE)
    shapes = polygons(found.scored)
    assert 0.9 * len(cells.number) < len(shapes) < len(cells.number)
    assert max(np.ptp(shape[:, 0]) for shape in shapes) < 100
    assert len(found.marks) == 5


def test_nothing_scanned_is_no_map():
    assert sky_maps(Coverage().cells(), [], NONE) == []


def test_a_single_object_has_a_map():
    (found,) = sky_maps(cells_of((np.array([17.0]), np.array([-89.95]))), places([17.0], [-89.95]), NONE)
    assert len(found.marks) == 1
    assert len(found.lines) < 30_000
