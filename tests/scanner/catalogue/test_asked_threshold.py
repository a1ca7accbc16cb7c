"""The threshold that the newest scan of a plan asks for is kept until its night shows it."""

from pathlib import Path

import pytest

from infra.store.storage import list_files
from scanner.catalogue.asked_threshold import AskedError, asked_threshold, remember_threshold
from scanner.catalogue.paths import asked_uri
from scanner.catalogue.visible import selected_plans
from tests.scanner.catalogue_parts import finished, plan_of


def test_the_newest_scan_decides_and_the_default_needs_no_file(root):
    plan = plan_of({"a": [1]}, candidate_threshold=0.25)
    remember_threshold(plan, root, 0.25)
    assert list_files(root) == []
    for threshold in (0.9, 0.5, 0.25):
        remember_threshold(plan, root, threshold)
        assert asked_threshold(plan, root) == threshold


def test_a_plan_is_shown_as_it_was_asked_for(disk):
    remember_threshold(plan_of({"a": [1, 2]}), disk, 0.8)
    finished(disk, {"a": {1: 0.9, 2: 0.6}})
    assert [shown.threshold for shown in selected_plans(disk)] == [0.8]


def test_a_damaged_threshold_is_named(disk):
    plan = plan_of({"a": [1]})
    remember_threshold(plan, disk, 0.9)
    Path(asked_uri(disk, plan.plan_id)).write_text('{"threshold": 2}')
    with pytest.raises(AskedError, match=r"asked\.json: not the record of a threshold; remove it and run the scan again"):
        asked_threshold(plan, disk)
