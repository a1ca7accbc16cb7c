"""The sides that the arguments of `lensscan diff` name, and what is said of them."""

import pytest

from flows.commands.diff import DiffArgumentsError, compare, lines_of, night_of, sides_of, summary_of, table_path
from scanner.review.diff.changes import Rules
from tests.scanner.catalogue_parts import NIGHT, finished

OTHER = "2026-11-25"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = str(tmp_path_factory.mktemp("diff") / "catalogue")
    finished(root, {"a": {1: 0.9, 2: 0.7}})
    finished(root, {"a": {1: 0.9, 3: 0.4}}, night=OTHER, shown=0.6)
    return root


def sides(a, b=None, plans=None, nights=None, night=None, min_p_lens=None):
    return sides_of(a, b, plans, nights, night=night, min_p_lens=min_p_lens)


def test_sides_are_catalogues_plans_or_nights(root):
    first, second = sides(root, root, night=NIGHT)
    assert [(side.name, side.rows["object_id"].to_pylist()) for side in (first, second)] == [(root, [1, 2])] * 2
    first, second = sides(root, nights=(NIGHT, OTHER))
    assert (first.name, second.name) == (f"{root}, night {NIGHT}", f"{root}, night {OTHER}")
    assert (first.thresholds, second.thresholds) == ((0.5,), (0.6,))
    ids = [side.plans[0].plan_id[:10] for side in (first, second)]
    first, second = sides(root, plans=tuple(ids), min_p_lens=0.3)
    assert (second.name, second.rows["object_id"].to_pylist()) == (f"{root}, plan {ids[1]}", [1, 3])
    assert first.thresholds == (0.3,)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "got none of them"),
        ({"b": "x", "nights": (NIGHT, OTHER)}, "got a second catalogue and --nights"),
        ({"plans": ("a", "b"), "nights": (NIGHT, OTHER)}, "got --plans and --nights"),
        ({"nights": (NIGHT, OTHER), "night": NIGHT}, "--nights, one for each side"),
    ],
)
def test_other_numbers_of_sides_are_refused(given, says):
    with pytest.raises(DiffArgumentsError, match=says):
        sides("a", **given)


def test_nights_are_dates_or_undated():
    assert (night_of("2026-11-24"), night_of("undated")) == ("2026-11-24", "undated")
    with pytest.raises(DiffArgumentsError, match=r"got 24\.11\.2026"):
        night_of("24.11.2026")


def test_the_summary_counts_both_sides(root):
    found = compare(sides(root, nights=(NIGHT, OTHER)), Rules(), None, None, 5)
    told = summary_of(found)
    assert told == {
        "a": {"name": f"{root}, night {NIGHT}", "candidates": 2, "p_lens_from": (0.5,)},
        "b": {"name": f"{root}, night {OTHER}", "candidates": 1, "p_lens_from": (0.6,)},
        "gained": 0,
        "lost": 0,
        "moved": 0,
        "outside a": 0,
        "outside b": 1,
        "same": 1,
    }
    assert dict(lines_of(found))["b"] == f"{root}, night {OTHER}: 1 candidate with p_lens of at least 0.6"


def test_a_table_is_no_file_of_regions(tmp_path):
    with pytest.raises(DiffArgumentsError, match="must be a table"):
        table_path(str(tmp_path / "x.REG"), overwrite=True)
    assert table_path(str(tmp_path / "x.csv"), overwrite=False) == tmp_path / "x.csv"
