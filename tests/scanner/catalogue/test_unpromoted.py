"""The oldest plan that readers do not see, as an alert finds it."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scanner.catalogue.gate import begin
from scanner.catalogue.paths import plan_uri
from scanner.catalogue.plan import freeze
from scanner.catalogue.unpromoted import oldest_unpromoted_s
from tests.scanner.catalogue_parts import EnsembleName, finished, plan_of

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def root(tmp_path):
    return str(tmp_path)


def written(plan, root, hours_ago):
    """Set the time at which a plan was written."""
    then = NOW.timestamp() - 3600 * hours_ago
    os.utime(Path(plan_uri(root, plan.plan_id)), (then, then))


def test_without_plans_nothing_is_late(root):
    assert oldest_unpromoted_s(root, NOW) == 0.0


def test_the_age_of_the_oldest_unseen_plan_counts(root):
    written(finished(root, {"a": {1: 0.9}}, night="2026-11-20"), root, 90)
    assert oldest_unpromoted_s(root, NOW) == 0.0
    for hours_ago, name in ((5, "b"), (7, "c")):
        plan = plan_of({name: [1, 2]})
        freeze(plan, root)
        written(plan, root, hours_ago)
    assert oldest_unpromoted_s(root, NOW) == pytest.approx(7 * 3600)


def test_a_plan_that_a_later_one_replaced_is_not_late(root):
    abandoned = plan_of({"a": [1]})
    freeze(abandoned, root)
    begin(abandoned, root, 0.5, gate=False)
    finished(root, {"a": {1: 0.9}}, ensemble=EnsembleName("other", "d" * 64))
    assert oldest_unpromoted_s(root, NOW) == 0.0
    scanned_again = plan_of({"a": [1]}, candidate_threshold=0.25)
    freeze(scanned_again, root)
    begin(scanned_again, root, 0.5, gate=False)
    # The times of files tell the age, and not which plan is newer.
    written(scanned_again, root, 9)
    assert oldest_unpromoted_s(root, NOW) == pytest.approx(9 * 3600)


def test_a_second_field_of_a_shown_night_is_late(root):
    field = plan_of({"b": [2]})
    freeze(field, root)
    written(field, root, 9)
    written(finished(root, {"a": {1: 0.9}}), root, 8)
    assert oldest_unpromoted_s(root, NOW) == pytest.approx(9 * 3600)
