"""Two catalogues with known differences, compared."""

import math

import pytest

from scanner.catalogue.wanted import Wanted
from scanner.review.diff.changes import CHANGES, Rules, Side, difference
from tests.scanner.catalogue_parts import NIGHT, finished

BEFORE = {"a": {1: 0.9, 2: 0.8, 3: 0.7, 4: 0.6, 5: 0.55, 10: 0.1}, "b": {7: 0.65, 8: None}}
AFTER = {"a": {1: 0.9, 2: 0.5001, 3: 0.2, 4: None, 10: 0.95}, "b": {7: 0.66, 8: 0.75, 9: 0.7}}
"""Object i lies at RA i, Dec 1, and is a candidate from 0.5 on."""


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    made = []
    for name, rows in (("before", BEFORE), ("after", AFTER)):
        root = str(tmp_path_factory.mktemp(name) / "catalogue")
        finished(root, rows)
        made.append(root)
    return made


EVERYTHING = (Wanted(), Wanted())


def compare(roots, wanted=EVERYTHING, **rules):
    first, second = (Side.read(root, one, name) for root, one, name in zip(roots, wanted, "ab", strict=True))
    return difference(first, second, Rules(**rules))


def changes(found):
    return {row["object_id_a"] or row["object_id_b"]: row for row in found.table.to_pylist()}


def odds(p):
    return math.log(p / (1 - p))


def test_every_change_is_found_once(roots):
    found = compare(roots)
    assert found.counts == {"gained": 2, "lost": 2, "moved": 1, "outside a": 1, "outside b": 1}
    # Objects 1 and 7 stay; object 2 moves from 0.8 to 0.5001.
    assert found.n_same == 2
    assert [(row["change"], row["object_id_a"], row["object_id_b"]) for row in found.table.to_pylist()] == [
        ("gained", 10, 10),
        ("moved", 2, 2),
        ("gained", 8, 8),
        ("lost", 3, 3),
        ("outside a", None, 9),
        ("lost", 4, 4),
        ("outside b", 5, None),
    ]


def test_both_sides_say_what_they_know(roots):
    rows = changes(compare(roots))
    assert (rows[10]["p_lens_a"], rows[10]["status_a"], rows[10]["rank_a"], rows[10]["rank_b"]) == (
        pytest.approx(0.1),
        "scored",
        None,
        1,
    )
    assert (rows[8]["p_lens_a"], rows[8]["status_a"], rows[8]["detail_a"]) == (None, "rejected:blank", "VIS: all zero")
    assert (rows[9]["status_a"], rows[9]["tile_b"], rows[9]["ra"]) == ("absent", "b", 9.0)
    assert (rows[3]["p_lens_b"], rows[3]["status_b"], rows[3]["rank_a"], rows[3]["rank_b"]) == (
        pytest.approx(0.2),
        "scored",
        3,
        None,
    )
    assert (rows[4]["status_b"], rows[4]["delta_log_odds"]) == ("rejected:blank", None)
    assert (rows[5]["status_b"], rows[5]["night_a"], rows[5]["night_b"], rows[5]["ra"]) == ("absent", NIGHT, None, 5.0)
    assert rows[2]["delta_log_odds"] == pytest.approx(odds(0.5001) - odds(0.8), abs=1e-4)
    assert rows[3]["delta_log_odds"] == pytest.approx(odds(0.2) - odds(0.7), abs=1e-5)
    assert {row["separation_arcsec"] for row in rows.values()} == {0.0, None}


@pytest.mark.parametrize(("moved_by", "moved"), [(1.3, {2}), (1.5, set()), (0.04, {2, 7}), (0.05, {2})])
def test_the_change_of_odds_decides_what_moved(roots, moved_by, moved):
    found = compare(roots, moved_by=moved_by)
    assert {i for i, row in changes(found).items() if row["change"] == "moved"} == moved
    assert found.n_same + len(moved) == 3


@pytest.mark.parametrize(("by", "moved"), [(1, {1, 2, 7}), (2, {2}), (4, {2}), (5, set())])
def test_the_place_decides_if_that_is_asked(roots, by, moved):
    """Places before: 1, 2, 3, 7, 4, 5; after: 10, 1, 8, 9, 7, 2."""
    found = compare(roots, moved_by=100, rank_moved_by=by)
    rows = changes(found)
    assert {i for i, row in rows.items() if row["change"] == "moved"} == moved
    if by == 1:
        assert [(rows[i]["rank_a"], rows[i]["rank_b"]) for i in (1, 2, 7)] == [(1, 2), (2, 6), (4, 5)]


def test_the_reverse_swaps_the_sides(roots):
    forward, back = compare(roots), compare(roots[::-1])
    assert back.counts == forward.counts
    swapped = dict(zip(CHANGES, ("lost", "gained", "moved", "outside b", "outside a"), strict=True))
    ahead, behind = changes(forward), changes(back)
    assert {i: swapped[row["change"]] for i, row in ahead.items()} == {i: row["change"] for i, row in behind.items()}
    assert ahead[3]["p_lens_a"] == behind[3]["p_lens_b"]


def test_a_catalogue_has_no_changes_against_itself(roots):
    found = compare([roots[0], roots[0]], moved_by=1e-9, rank_moved_by=1)
    assert (found.table.num_rows, found.n_same) == (0, 6)


def test_conditions_apply_to_their_side(roots):
    found = compare([roots[0], roots[0]], (Wanted(), Wanted(min_p_lens=0.68)))
    assert found.counts == dict.fromkeys(CHANGES, 0) | {"lost": 3}
    assert {row["p_lens_b"] for row in found.table.to_pylist()} == {row["p_lens_a"] for row in found.table.to_pylist()}
    assert (found.first.thresholds, found.second.thresholds) == ((0.5,), (0.68,))


def test_other_ids_are_matched_by_position(tmp_path):
    roots = [str(tmp_path / name) for name in "ab"]
    finished(roots[0], {"a": {1: 0.9, 2: 0.8}}, changes={"ra": [10.0, 20.0]})
    finished(roots[1], {"a": {101: 0.9, 102: 0.8}}, changes={"ra": [10.0 + 0.9 / 3600, 20.0 + 1.1 / 3600]})
    found = compare(roots)
    assert (found.counts, found.n_same) == (dict.fromkeys(CHANGES, 0) | {"outside a": 1, "outside b": 1}, 1)
    wide = compare(roots, radius_arcsec=1.5, moved_by=1e-9, rank_moved_by=0)
    assert [round(row["separation_arcsec"], 1) for row in wide.table.to_pylist()] == [0.9, 1.1]


@pytest.mark.parametrize("is_gained", [False, True])
def test_a_duplicate_is_absent_beside_its_paired_twin(tmp_path, is_gained):
    roots = [str(tmp_path / name) for name in "ab"]
    finished(roots[is_gained], {"a": {1: 0.99, 2: 0.9}}, changes={"ra": [10.0, 10.0 + 0.6 / 3600]})
    finished(roots[not is_gained], {"a": {1: 0.99}}, changes={"ra": [10.0]})
    (row,) = compare(roots).table.to_pylist()
    without = "a" if is_gained else "b"
    assert (row["change"], row[f"status_{without}"]) == (f"outside {without}", "absent")
    assert (row[f"object_id_{without}"], row[f"p_lens_{without}"], row["delta_log_odds"]) == (None, None, None)


def test_two_nights_of_one_object_count_once(tmp_path):
    root = str(tmp_path)
    finished(root, {"a": {1: 0.9, 2: 0.8}})
    finished(root, {"a": {1: 0.95}}, night="2026-11-25")
    assert compare([root, root]).n_same == 2
    nights = compare([root, root], (Wanted(night=NIGHT), Wanted(night="2026-11-25")), moved_by=0.5)
    assert {i: row["change"] for i, row in changes(nights).items()} == {1: "moved", 2: "outside b"}
    assert changes(nights)[2]["status_b"] == "absent"


def test_columns_have_units_and_meanings(roots):
    fields = {field.name: field.metadata for field in compare(roots).table.schema}
    assert fields["ra"][b"unit"] == b"deg"
    assert fields["separation_arcsec"][b"unit"] == b"arcsec"
    assert all(about[b"description"] for about in fields.values())
