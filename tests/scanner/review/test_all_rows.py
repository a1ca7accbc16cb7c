"""All rows of plans, each object once in a night, against SQL over the same catalogue."""

import numpy as np
import pytest

from scanner.catalogue.outcomes import SKIPPED
from scanner.catalogue.query import query
from scanner.catalogue.visible import VisibleError, selected_plans
from scanner.review.all_rows import all_rows, are_among
from tests.scanner.catalogue_parts import NIGHT, finished

OTHER_NIGHT = "2026-11-25"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Return a catalogue: a night whose newer plan hides tile b, and object 1 of tile a; and another night."""
    root = str(tmp_path_factory.mktemp("rows") / "catalogue")
    finished(root, {"a": {1: 0.9, 2: 0.1, 3: None}, "b": {4: 0.7, 5: 0.2}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scanner.catalogue.plan.code_version", lambda: "9.9")
        finished(root, {"b": {4: 0.55, 5: None}, "c": {1: 0.3, 6: 0.95}})
    finished(root, {"a": {1: 0.9, 7: 1e-12}}, night=OTHER_NIGHT)
    return root


def rows(root, names, **options):
    tables = list(all_rows(root, selected_plans(root, **options), names))
    assert {tuple(table.column_names) for table in tables} == {tuple(names)}
    return sorted((row for table in tables for row in table.to_pylist()), key=str)


def test_rows_are_those_of_the_view_of_scores(root):
    names = ["object_id", "p_lens", "night"]
    expected = query(root, sql="select object_id, p_lens, cast(night as varchar) as night from scores").to_pylist()
    assert rows(root, names) == sorted(expected, key=str)
    assert len(expected) == 8
    of_night = [row for row in expected if row["night"] == NIGHT]
    assert rows(root, names, night=NIGHT) == sorted(of_night, key=str)


def test_skipped_rows_hide_no_others(tmp_path):
    """The newest plan skips an object of each older one, and one that the second skips, too."""
    root = str(tmp_path)
    finished(root, {"a": {1: 0.9, 2: 0.1}})
    finished(root, {"b": {3: 0.8, 4: None, 1: None}}, skipped=(4, 1))
    finished(root, {"c": {1: None, 3: None, 4: None, 5: 0.7}}, skipped=(1, 3, 4))
    expected = query(root, sql="select object_id, status, tile from scores").to_pylist()
    assert rows(root, ["object_id", "status", "tile"]) == sorted(expected, key=str)
    places = [(1, "scored", "a"), (2, "scored", "a"), (3, "scored", "b"), (4, SKIPPED, "c"), (5, "scored", "c")]
    assert sorted(tuple(row.values()) for row in expected) == places


def test_ids_hide_rows_although_they_are_not_asked_for(root):
    assert len(rows(root, ["status"], night=NIGHT)) == 6


def test_a_hidden_plan_alone_has_all_its_rows(root):
    (old,) = (shown for shown in selected_plans(root, night=NIGHT) if shown.newer)
    assert len(rows(root, ["object_id"], plan=old.plan_id)) == 5
    assert sum(table.num_rows for table in all_rows(root, [old], ["object_id"])) == 2


def test_progress_counts_the_units(root):
    calls = []
    list(all_rows(root, selected_plans(root), ["status"], lambda *counts: calls.append(counts)))
    # Tile a of the older plan is shown, b and c of the newer one, and a of the other night.
    assert calls == [(i, 4) for i in range(1, 5)]


def test_a_damaged_unit_is_named(tmp_path):
    root = str(tmp_path)
    finished(root, {"a": {1: 0.9}})
    (unit,) = tmp_path.rglob("*.unit")
    unit.write_bytes(unit.read_bytes()[:-50])
    with pytest.raises(VisibleError, match=r"a\.unit: cannot be read"):
        list(all_rows(root, selected_plans(root), ["status"]))


def test_members_are_found_in_order(rng):
    values, others = rng.integers(-50, 50, 200), np.unique(rng.integers(-60, 60, 40))
    assert are_among(values, others).tolist() == [value in set(others.tolist()) for value in values.tolist()]
    assert not are_among(values, others[:0]).any()
