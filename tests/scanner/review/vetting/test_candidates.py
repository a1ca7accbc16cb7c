"""The candidates that can be graded: with pixels, each object once, best first."""

import pytest

from scanner.catalogue.wanted import Wanted
from scanner.review.vetting.candidates import every_subject, gradable_rows
from scanner.review.vetting.errors import VettingError
from scanner.review.vetting.gold import GoldSet
from tests.scanner.catalogue_parts import finished
from tests.vetting import gold_of


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Return a catalogue of two nights: three objects have pixels, one of them in both nights, and five have none."""
    root = str(tmp_path_factory.mktemp("gradable"))
    finished(root, {"a": {1: 0.9, 2: 0.8, 3: 0.7, 4: 0.6}}, maps_per_unit=2)
    finished(root, {"b": {2: 0.95, 5: 0.85, 6: 0.65, 7: 0.55}}, night="2026-11-25", maps_per_unit=2)
    return root


@pytest.mark.parametrize(("limit", "expected"), [(None, [2, 1, 5]), (500, [2, 1, 5]), (3, [2, 1, 5]), (2, [2, 1]), (1, [2])])
def test_objects_with_pixels_come_once_best_first(root, limit, expected):
    rows = gradable_rows(root, Wanted(limit=limit))
    assert [row["object_id"] for row in rows] == expected
    assert rows[0]["night"] == "2026-11-25"
    assert "cutout_sigma" not in rows[0]


def test_conditions_choose_among_them(root):
    assert [row["object_id"] for row in gradable_rows(root, Wanted(night="2026-11-24"))] == [1, 2]
    assert [row["object_id"] for row in gradable_rows(root, Wanted(min_p_lens=0.88))] == [2, 1]


def test_more_rows_are_read_until_enough_have_pixels(tmp_path):
    finished(
        str(tmp_path), {str(u): {100 * u + i: 0.99 - u / 10 - i / 1000 for i in range(20)} for u in range(4)}, maps_per_unit=1
    )
    assert [row["object_id"] for row in gradable_rows(str(tmp_path), Wanted(limit=3))] == [0, 100, 200]


def test_nothing_to_grade_is_an_error(root, tmp_path):
    with pytest.raises(VettingError, match="no candidate meets these conditions"):
        gradable_rows(root, Wanted(min_p_lens=0.99))
    finished(str(tmp_path), {"a": {1: 0.9}})
    with pytest.raises(VettingError, match="none of its 1 candidates has pixels: `lensscan scan --maps` stores them"):
        gradable_rows(str(tmp_path), Wanted())


def test_every_subject_includes_those_without_pixels(root):
    gold = GoldSet(gold_of(2))
    names = {subject.name for subject in every_subject(root, gold)}
    assert names == {*(f"object:{i}" for i in range(1, 8)), *(known.answer.name for known in gold.subjects)}
