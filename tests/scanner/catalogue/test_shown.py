"""Records of what a night shows: their order decides, one writer wins each number, and old plans keep what is theirs alone."""

import json
from pathlib import Path

import pytest

from infra.store.storage import list_files
from scanner.catalogue.paths import entry_uri, plan_uri, seal_uri
from scanner.catalogue.plan import ScanConfig
from scanner.catalogue.shown import (
    Replaced,
    ShownPlan,
    record_shown,
    replaced_by,
    show_records,
    shown_plans,
    with_lower_threshold,
)
from scanner.catalogue.units import LeftOut, LeftOutReason
from tests.scanner.catalogue_parts import NIGHT, EnsembleName, finished, plan_of, purity_table

A, B, C = ("a" * 64, "b" * 64, "c" * 64)


@pytest.fixture
def root(tmp_path):
    return str(tmp_path)


def recorded(root, label=NIGHT):
    return [(record.number, record.plan_id, record.threshold) for record in show_records(root, label).get(label, [])]


@pytest.mark.parametrize("place", ["path", pytest.param("s3", marks=pytest.mark.server)])
def test_records_are_numbered_and_never_repeat_the_newest(request, tmp_path, place):
    root = request.getfixturevalue("s3") if place == "s3" else str(tmp_path)
    assert recorded(root) == []
    for plan_id, threshold in [(A, 0.5), (A, 0.5), (B, 0.5), (B, 0.25), (B, 0.25), (A, 0.5)]:
        record_shown(root, NIGHT, plan_id, threshold)
    record_shown(root, "undated", A, 0.5)
    assert recorded(root) == [(4, A, 0.5), (3, B, 0.25), (2, B, 0.5), (1, A, 0.5)]
    assert show_records(root).keys() == {NIGHT, "undated"}
    assert list_files(f"{root}/_scan/journal")[1].uri == entry_uri(root, NIGHT, 2)


def test_a_record_holds_plan_threshold_and_purity(root):
    record_shown(root, NIGHT, A, 0.5)
    assert json.loads(Path(entry_uri(root, NIGHT, 1)).read_bytes()) == {
        "event": "shown",
        "plan_id": A,
        "threshold": 0.5,
        "purity": None,
    }


def test_a_record_with_a_purity_is_read_back_equal(root):
    for purity in (0.25, 0.25, 0.75, None, 0.75):
        record_shown(root, NIGHT, A, 0.5, purity and purity_table(purity))
    found = [record.purity for record in reversed(show_records(root)[NIGHT])]
    assert found == [purity_table(0.25), purity_table(0.75), None, purity_table(0.75)]
    seal_of_units(root, A, {"a"})
    assert shown_plans(root)[NIGHT][0].purity == purity_table(0.75)


def write_json(uri, content):
    path = Path(uri)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def seal_of_units(root, plan_id, units):
    """Write a plan and its seal, of which only the tiles matter."""
    tiles = [{"unit_id": unit, "kind": "tile", "id_digest": plan_id} for unit in units]
    write_json(plan_uri(root, plan_id), {"units": tiles})
    words = dict.fromkeys(("ensemble_name", "ensemble_sha256", "code_version", "candidates_path", "candidates_sha256"), "")
    numbers = dict.fromkeys(("n_units", "n_rows", "n_candidates"), 0)
    seal = {"plan_id": plan_id, "night": NIGHT, "rows_by_status": {}, "units": dict.fromkeys(units, ""), **words, **numbers}
    write_json(seal_uri(root, plan_id), seal)


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        ([{"a", "b"}, {"a", "b"}, {"a", "b"}], {C: None}),
        ([{"a", "b"}, {"c"}, {"d"}], {C: None, B: None, A: None}),
        ([{"a", "b", "c"}, {"b"}, {"c", "d"}], {C: None, B: None, A: {"a"}}),
        ([{"a", "b"}, {"a", "b", "c"}, {"c"}], {C: None, B: {"a", "b"}}),
        ([{"a"}, {"b"}, set()], {C: None, B: None, A: None}),
    ],
)
def test_newer_plans_hide_the_units_that_they_hold(root, units, expected):
    for plan_id, own in zip((A, B, C), units, strict=True):
        seal_of_units(root, plan_id, own)
        record_shown(root, NIGHT, plan_id, 0.5)
    found = shown_plans(root)[NIGHT]
    assert {shown.plan_id: shown.units for shown in found} == expected
    assert [len(shown.newer) for shown in found] == list(range(len(found)))


def test_a_plan_without_a_seal_is_not_shown(root):
    seal_of_units(root, A, {"a"})
    for plan_id in (A, B):
        record_shown(root, NIGHT, plan_id, 0.5)
    assert shown_plans(root) == {NIGHT: [ShownPlan(A, 0.5, 1)]}
    Path(seal_uri(root, A)).unlink()
    assert shown_plans(root, NIGHT) == {NIGHT: []}


def test_a_new_plan_says_what_it_replaces(root):
    old = finished(root, {"a": {1: 0.9}, "b": {2: 0.9}, "c": {3: 0.9}})
    new = finished(root, {"a": {1: 0.9}, "d": {4: 0.9}})
    newest = plan_of({"a": [1], "b": [2], "e": [5]})
    expected = [(new.plan_id, 1, 2), (old.plan_id, 1, 2)]
    fields = ("plan_id", "n_units_replaced", "n_units")
    assert replaced_by(newest, root) == tuple(Replaced(**dict(zip(fields, row, strict=True))) for row in expected)
    assert replaced_by(plan_of({"e": [5]}), root) == ()
    assert replaced_by(new, root) == ()
    shards = finished(root, {"a": {1: 0.9}, "e": {6: 0.9}}, kind="shard")
    assert replaced_by(plan_of({"a": [1], "e": [5]}, kind="shard", batch_size=2), root) == (
        Replaced(plan_id=shards.plan_id, n_units_replaced=1, n_units=2),
    )


def test_a_sealed_plan_with_a_lower_threshold_is_used(root):
    low = finished(root, {"a": {1: 0.9, 2: 0.3}}, candidate_threshold=0.25)
    asked = plan_of({"a": [1, 2]}, candidate_threshold=0.5)
    assert with_lower_threshold(asked, root) == low
    lower = plan_of({"a": [1, 2]}, candidate_threshold=0.125)
    assert with_lower_threshold(lower, root) is lower
    for other in ({"maps_per_unit": 1}, {"batch_size": 2}):
        different = plan_of({"a": [1, 2]}, candidate_threshold=0.5, **other)
        assert with_lower_threshold(different, root) is different
    Path(seal_uri(root, low.plan_id)).unlink()
    assert with_lower_threshold(asked, root) is asked


def test_tiles_that_are_left_out_do_not_tell_plans_apart(root):
    low = finished(root, {"a": {1: 0.9, 2: 0.3}}, candidate_threshold=0.25)
    bare = {"left_out": (LeftOut(tile="b", reason=LeftOutReason.NO_MOSAIC),)}
    asked = plan_of({"a": [1, 2]}, candidate_threshold=0.5).model_copy(update=bare)
    assert with_lower_threshold(asked, root) == low.model_copy(update=bare)


def test_units_of_a_plan_that_cannot_be_read_stay_visible(root):
    for plan_id in (A, B):
        seal_of_units(root, plan_id, {"a"})
        record_shown(root, NIGHT, plan_id, 0.5)
    assert [shown.plan_id for shown in shown_plans(root)[NIGHT]] == [B]
    Path(plan_uri(root, B)).write_bytes(b"{")
    assert [(shown.plan_id, shown.units) for shown in shown_plans(root)[NIGHT]] == [(B, None), (A, None)]
    Path(plan_uri(root, B)).unlink()
    assert [shown.plan_id for shown in shown_plans(root)[NIGHT]] == [B, A]


def test_a_sealed_plan_is_used_rather_than_a_lower_one(root):
    for threshold in (0.25, 0.5):
        plan = finished(root, {"a": {1: 0.9, 2: 0.3}}, candidate_threshold=threshold)
    finished(root, {"a": {1: 0.9, 2: 0.3}}, candidate_threshold=0.25)
    assert with_lower_threshold(plan, root) is plan
    assert plan.config == ScanConfig(candidate_threshold=0.5)
    assert plan.ensemble_name == EnsembleName().name
