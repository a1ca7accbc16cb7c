"""A scan says why an object is none of its candidates."""

import numpy as np
import pytest

from scanner.catalogue.visible import selected_plans
from scanner.review.diff.elsewhere import SCHEMA, elsewhere
from scanner.review.diff.matching import Objects
from tests.scanner.catalogue_parts import finished

NAN = float("nan")
ARCSEC = 1 / 3600


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Return a catalogue with objects of id i at RA i, Dec 1: a candidate, a low score, a rejection; and another night."""
    root = str(tmp_path_factory.mktemp("elsewhere") / "catalogue")
    finished(root, {"a": {1: 0.9, 2: 0.2, 3: None}, "b": {4: 0.1, 5: 0.05}})
    finished(root, {"c": {2: 0.3, 6: None}}, night="2026-11-25")
    return root


def look(root, *rows, radius=1.0, paired=(), **chosen):
    ids, ra, dec = zip(*rows, strict=True) if rows else ((), (), ())
    wanted = Objects(np.array(ids, np.int64), np.array(ra, float), np.array(dec, float))
    found = elsewhere(root, selected_plans(root, **chosen), wanted, radius, np.array(paired, np.int64))
    assert found.schema.names == SCHEMA.names
    assert found.num_rows == len(rows)
    return [(row["object_id"], row["status"], row["p_lens"] and round(row["p_lens"], 3)) for row in found.to_pylist()]


def test_rows_are_found_by_id(root):
    found = look(root, (5, 5, 1), (3, NAN, NAN), (1, 1, 1), night="2026-11-24")
    assert found == [(5, "scored", 0.05), (3, "rejected:blank", None), (1, "scored", 0.9)]


def test_rows_of_other_ids_are_found_by_position(root):
    found = look(root, (70, 4, 1 + 0.9 * ARCSEC), (71, 5, 1 + 1.1 * ARCSEC), (72, NAN, NAN), (2, 2, 1))
    assert found == [(4, "scored", 0.1), (None, "absent", None), (None, "absent", None), (2, "scored", 0.3)]
    assert look(root, (71, 5, 1 + 1.1 * ARCSEC), radius=2.0) == [(5, "scored", 0.05)]


def test_rows_of_paired_objects_are_found_by_id_alone(root):
    near_four, own = (70, 4, 1 + 0.9 * ARCSEC), (4, 4, 1)
    assert look(root, near_four, own, paired=[4]) == [(None, "absent", None), (4, "scored", 0.1)]
    assert look(root, near_four, own, paired=[5]) == [(4, "scored", 0.1), (4, "scored", 0.1)]


def test_an_equal_id_far_away_is_another_object(root):
    assert look(root, (4, 30, 1)) == [(None, "absent", None)]
    assert look(root, (4, 3, 1)) == [(3, "rejected:blank", None)]


def test_the_best_of_several_rows_counts(root):
    assert look(root, (2, 2, 1)) == [(2, "scored", 0.3)]
    assert look(root, (2, 2, 1), night="2026-11-24") == [(2, "scored", 0.2)]


def test_nothing_asked_is_nothing_found(root):
    assert look(root) == []


def test_details_and_places_come_along(root):
    wanted = Objects(np.array([3]), np.array([NAN]), np.array([NAN]))
    (row,) = elsewhere(root, selected_plans(root), wanted).to_pylist()
    assert (row["detail"], row["tile"], row["night"], row["ra"], row["subclass"]) == (
        "VIS: all zero",
        "a",
        "2026-11-24",
        3.0,
        "",
    )
