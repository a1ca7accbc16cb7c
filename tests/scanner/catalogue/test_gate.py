"""A held plan stays away from readers until it is shown, whatever other commands do; on disk and on S3."""

import os
from pathlib import Path

import pytest

from infra.store.storage import list_files
from scanner.catalogue.audit.status import State, plan_status
from scanner.catalogue.gate import asked, begin, held, is_behind, is_waiting, waiting_plans, was_shown
from scanner.catalogue.night_file import show, show_once
from scanner.catalogue.visible import VisibleError, selected_plans, visible_candidates
from tests.scanner.catalogue_parts import NIGHT, finished, plan_of, purity_table

UNITS = {"a": {1: 0.9, 2: 0.1}, "b": {3: 0.8}}


def test_a_held_plan_is_seen_only_after_it_is_shown(root):
    plan = finished(root, UNITS, gate=True, shown=0.85)
    assert held(plan, root).threshold == 0.85
    assert is_waiting(plan, root)
    assert waiting_plans(root) == waiting_plans(root, NIGHT) == {NIGHT: [plan]}
    assert waiting_plans(root, "undated") == {}
    # What `lensscan seal` does, with `--plan` and without.
    assert show_once(plan, root) is show_once(plan, root, replacing=True) is None
    with pytest.raises(VisibleError, match="waits for its quality gate"):
        selected_plans(root)
    show(plan, root, 0.85)
    assert [one.plan_id for one in selected_plans(root)] == [plan.plan_id]
    assert was_shown(plan, root)
    assert not is_waiting(plan, root)
    assert waiting_plans(root) == {}


def test_a_plan_that_was_shown_is_not_held(disk):
    plan = finished(disk, UNITS)
    begin(plan, disk, 0.5, gate=True)
    assert held(plan, disk) is None
    assert not is_waiting(plan, disk)


def test_the_newest_scan_decides_the_threshold(disk):
    plan = finished(disk, UNITS, gate=True)
    begin(plan, disk, 0.7, gate=False)
    assert held(plan, disk).threshold == 0.7
    assert waiting_plans(disk)[NIGHT] == [plan]


def test_the_plan_that_was_sealed_last_comes_first(disk):
    plans = [finished(disk, {name: {i: 0.9}}, gate=True) for i, name in enumerate("abc")]
    assert waiting_plans(disk)[NIGHT] == plans[::-1]


def test_a_plan_does_not_wait_once_a_later_is_shown(disk):
    """A refused scan of a field is replaced by a better one; a scan of another field waits on."""
    refused, elsewhere, better = (
        finished(disk, units, gate=True) for units in ({"a": {1: 0.9}}, {"b": {2: 0.9}}, {"a": {1: 0.9, 3: 0.9}, "c": {4: 0.9}})
    )
    assert waiting_plans(disk)[NIGHT] == [better, elsewhere, refused]
    show(better, disk)
    assert waiting_plans(disk)[NIGHT] == [elsewhere]
    # A new scan of what readers see waits, as one with another ensemble does.
    again = finished(disk, {"a": {1: 0.8, 5: 0.9}}, gate=True)
    assert waiting_plans(disk)[NIGHT] == [again, elsewhere]


def test_a_plan_is_behind_once_another_follows_it(disk):
    first = finished(disk, UNITS)
    assert not is_behind(first, disk)
    second = finished(disk, {"a": {7: 0.9}})
    assert (is_behind(first, disk), is_behind(second, disk)) == (True, False)
    assert not is_behind(finished(disk, {"a": {8: 0.9}}, gate=True), disk)


def test_an_unsealed_plan_does_not_wait_yet(disk):
    plan = finished(disk, UNITS, gate=True)
    Path(disk, "_scan", "seals", f"{plan.plan_id}.json").unlink()
    assert waiting_plans(disk) == {}


def test_a_plan_is_shown_as_its_newest_scan_asked(root):
    """On the second call nothing is written; a threshold that is asked for again decides again."""
    plan = plan_of({"a": [1, 2]})
    for threshold, n_entries in ((0.9, 1), (0.7, 2), (0.7, 2), (0.9, 3), (0.8, 4)):
        begin(plan, root, threshold, purity_table(0.25), gate=False)
        assert asked(plan, root).threshold == threshold
        assert len(list_files(f"{root}/_scan/journal")) == n_entries
    show(finished(root, {"a": {1: 0.9, 2: 0.6}}, shown=0.8, purity=purity_table(0.25)), root)
    assert [(shown.threshold, shown.purity) for shown in selected_plans(root)] == [(0.8, purity_table(0.25))]


def test_no_time_of_a_file_decides(disk, rng):
    """A copied catalogue has other times: all readers see the same, whatever the times are."""
    first = finished(disk, {"a": {1: 0.9}, "b": {2: 0.9}}, gate=True)
    better = finished(disk, {"a": {1: 0.95, 3: 0.9}}, gate=True)
    finished(disk, {"c": {4: 0.9}})
    later = finished(disk, {"c": {4: 0.8, 5: 0.9}}, gate=True)
    show(better, disk)
    plans = first, better, later

    def seen():
        states = [(plan_status(plan.plan_id, disk).state, is_behind(plan, disk)) for plan in plans]
        return waiting_plans(disk), states, selected_plans(disk), visible_candidates(disk)

    expected = seen()
    assert expected[0] == {NIGHT: [later]}
    assert [state for state, _ in expected[1]] == [State.SUPERSEDED, State.SHOWN, State.TO_BE_JUDGED]
    files = [path for path in Path(disk).rglob("*") if path.is_file()]
    for _ in range(5):
        for path, time in zip(files, rng.permutation(len(files)), strict=True):
            os.utime(path, (1e9 + time,) * 2)
        assert seen() == expected
