"""A held plan stays away from readers until it is shown, whatever other commands do; on disk and on S3."""

from pathlib import Path

import pytest

from scanner.catalogue.gate import GateError, held, hold, holds, is_behind, is_waiting, waiting_plans, was_shown
from scanner.catalogue.night_file import show, show_once
from scanner.catalogue.paths import held_uri
from scanner.catalogue.visible import VisibleError, selected_plans
from tests.scanner.catalogue_parts import NIGHT, finished

UNITS = {"a": {1: 0.9, 2: 0.1}, "b": {3: 0.8}}


def test_a_held_plan_is_seen_only_after_it_is_shown(root):
    plan = finished(root, UNITS, gate=True, shown=0.85)
    assert held(root, plan.plan_id).threshold == 0.85
    assert is_waiting(plan, root)
    assert waiting_plans(root, NIGHT) == [plan]
    assert waiting_plans(root, "undated") == []
    # What `lensscan seal` does, with `--plan` and without.
    assert show_once(plan, root) is show_once(plan, root, replacing=True) is None
    with pytest.raises(VisibleError, match="waits for its quality gate"):
        selected_plans(root)
    show(plan, root, 0.85)
    assert [one.plan_id for one in selected_plans(root)] == [plan.plan_id]
    assert was_shown(plan, root)
    assert not is_waiting(plan, root)
    assert waiting_plans(root, NIGHT) == []
    assert len(holds(root)) == 1


def test_a_plan_that_was_shown_is_not_held(disk):
    plan = finished(disk, UNITS)
    hold(plan, disk, 0.5)
    assert held(disk, plan.plan_id) is None
    assert not is_waiting(plan, disk)


def test_the_newest_scan_decides_the_threshold(disk):
    plan = finished(disk, UNITS, gate=True)
    hold(plan, disk, 0.7)
    assert held(disk, plan.plan_id).threshold == 0.7
    assert waiting_plans(disk, NIGHT) == [plan]


def test_the_plan_that_was_sealed_last_comes_first(disk):
    plans = [finished(disk, {name: {i: 0.9}}, gate=True) for i, name in enumerate("abc")]
    assert waiting_plans(disk, NIGHT) == plans[::-1]


def test_a_plan_does_not_wait_once_a_later_is_shown(disk):
    """A refused scan of a field is replaced by a better one; a scan of another field waits on."""
    refused, elsewhere, better = (
        finished(disk, units, gate=True) for units in ({"a": {1: 0.9}}, {"b": {2: 0.9}}, {"a": {1: 0.9, 3: 0.9}, "c": {4: 0.9}})
    )
    assert waiting_plans(disk, NIGHT) == [better, elsewhere, refused]
    show(better, disk)
    assert waiting_plans(disk, NIGHT) == [elsewhere]
    # A new scan of what readers see waits, as one with another ensemble does.
    again = finished(disk, {"a": {1: 0.8, 5: 0.9}}, gate=True)
    assert waiting_plans(disk, NIGHT) == [again, elsewhere]


def test_a_plan_is_behind_once_another_follows_it(disk):
    first = finished(disk, UNITS)
    assert not is_behind(first, disk)
    second = finished(disk, {"a": {7: 0.9}})
    assert (is_behind(first, disk), is_behind(second, disk)) == (True, False)
    assert not is_behind(finished(disk, {"a": {8: 0.9}}, gate=True), disk)


def test_an_unsealed_plan_does_not_wait_yet(disk):
    plan = finished(disk, UNITS, gate=True)
    Path(disk, "_scan", "seals", f"{plan.plan_id}.json").unlink()
    assert waiting_plans(disk, NIGHT) == []


def test_a_damaged_record_is_named(disk):
    plan = finished(disk, UNITS, gate=True)
    Path(held_uri(disk, plan.plan_id)).write_text("{}")
    for read in (lambda: held(disk, plan.plan_id), lambda: waiting_plans(disk, NIGHT)):
        with pytest.raises(GateError, match=r"held\.json: not the record of a held plan"):
            read()
