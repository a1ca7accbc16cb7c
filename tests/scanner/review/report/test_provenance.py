"""Facts about plans: those of this version, of another version, and of one that is gone."""

import json

import pytest

from scanner.catalogue.paths import plan_uri
from scanner.catalogue.plan import ScanConfig
from scanner.catalogue.shown import ShownPlan
from scanner.catalogue.visible import selected_plans
from scanner.review.report.provenance import folder_of, plan_facts
from tests.scanner.catalogue_parts import NIGHT, finished, purity_table


def test_a_plan_says_what_was_scanned_by_what(tmp_path):
    root = str(tmp_path)
    plan = finished(root, {"a": {1: 0.9, 2: None}, "b": {3: 0.1}}, purity=purity_table(0.5), shown=0.6)
    (shown,) = selected_plans(root)
    found = plan_facts(root, shown)
    assert (found.plan_id, found.night, found.ensemble, found.is_euclid) == (plan.plan_id, NIGHT, "test", True)
    planned = found.lines.pop("planned")
    assert planned.endswith(" UTC")
    assert found.lines == {
        "plan": plan.plan_id,
        "night": NIGHT,
        "ensemble": f"test, SHA-256 {'e' * 64}",
        "lensscan": plan.code_version,
        "prior of p_lens": "one object in 1000 is a lens",
        "candidates": "p_lens of at least 0.6",
        "survey": "euclid-mer",
        "input": "/data",
        "tiles": "2",
        "objects": "3",
        "settings": "threshold 0.5, engine auto, bfloat16 first where that is faster, maps of the best 0 of each tile",
    }


def test_settings_and_shards_have_their_words(tmp_path):
    root = str(tmp_path)
    finished(root, {"a": {1: 0.9}}, kind="shard", night=None, sweep=False, engine="torch", candidate_threshold=0.25)
    (shown,) = selected_plans(root)
    found = plan_facts(root, shown)
    assert (found.night, found.is_euclid, "survey" in found.lines, found.lines["shards"]) == ("", False, False, "1")
    assert found.lines["settings"] == "threshold 0.25, engine torch, float32 throughout, maps of the best 0 of each shard"
    assert ScanConfig().sweep


def test_an_unreadable_plan_has_the_facts_of_its_seal(tmp_path):
    root = str(tmp_path)
    plan = finished(root, {"a": {1: 0.9, 2: 0.2}})
    path = tmp_path / "_scan" / "plans" / f"{plan.plan_id}.json"
    assert str(path) == plan_uri(root, plan.plan_id)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"new_field": 1}))
    (shown,) = selected_plans(root)
    found = plan_facts(root, shown)
    assert (found.night, found.ensemble, found.lines["objects"], found.lines["lensscan"]) == (
        NIGHT,
        "test",
        "2",
        plan.code_version,
    )


def test_a_plan_that_is_gone_has_its_id(tmp_path):
    found = plan_facts(str(tmp_path), ShownPlan("f" * 64, 0.5))
    assert found.lines == {"plan": "f" * 64, "candidates": "p_lens of at least 0.5"}


@pytest.mark.parametrize(
    ("uris", "folder"),
    [
        (["/d/tiles/1/a.fits", "/d/tiles/2/b.fits"], "/d/tiles"),
        (["/d/tile1/a.fits", "/d/tile2/b.fits"], "/d"),
        (["/d/t/a.fits"], "/d/t"),
        (["s3://b/x/a", "s3://b/y/z/a"], "s3://b"),
        (["s3://key:secret@b/x/a"], "s3://b/x"),
        (["/a/x", "/b/x"], "/"),
        ([], "/"),
    ],
)
def test_the_input_is_the_folder_of_all_files(uris, folder):
    assert folder_of(uris) == folder
