"""The state of a plan, from its first unit until newer plans have replaced all of its units."""

from pathlib import Path

import pytest

from scanner.catalogue.audit.status import State, plan_status
from scanner.catalogue.ledger import publish
from scanner.catalogue.night_file import show
from scanner.catalogue.paths import seal_uri
from scanner.catalogue.plan import freeze
from scanner.catalogue.seal import SealError, seal
from tests.scanner.catalogue_parts import finished, plan_of, scores

UNITS = {"a": {1: 0.9, 2: 0.1}, "b": {3: 0.8}}


@pytest.fixture
def root(tmp_path):
    return str(tmp_path)


def test_a_plan_goes_through_all_states(root):
    plan = plan_of({name: list(rows) for name, rows in UNITS.items()})
    freeze(plan, root)
    seen = [plan_status(plan.plan_id, root)]
    for unit in plan.units:
        rows = UNITS[unit.unit_id]
        publish(scores(list(rows), list(rows.values()), tile=[unit.unit_id] * len(rows)), unit, plan, root, "try")
        seen.append(plan_status(plan.plan_id, root))
    seal(plan, root)
    seen.append(plan_status(plan.plan_id, root))
    show(plan, root, 0.85)
    seen.append(plan_status(plan.plan_id, root))
    for other in ({"b": {3: 0.8}, "c": {4: 0.8}}, {"a": {1: 0.8}}):
        finished(root, other)
        seen.append(plan_status(plan.plan_id, root))
    assert [(found.state, found.n_units_committed, found.n_units_shown, found.threshold) for found in seen] == [
        (State.UNFINISHED, 0, 0, 0.5),
        (State.UNFINISHED, 1, 0, 0.5),
        (State.TO_BE_SEALED, 2, 0, 0.5),
        (State.TO_BE_SHOWN, 2, 0, 0.5),
        (State.SHOWN, 2, 2, 0.85),
        (State.PARTLY_SHOWN, 2, 1, 0.85),
        (State.SUPERSEDED, 2, 0, 0.5),
    ]
    assert [found.n_rows_committed for found in seen] == [0, 2, 3, 3, 3, 3, 3]
    assert [found.n_candidates for found in seen] == [None, None, None, 2, 1, 1, 2]


@pytest.mark.server
def test_the_time_of_a_plan_comes_from_the_store(s3):
    plan = finished(s3, UNITS)
    assert plan_status(plan.plan_id, s3).planned_at.year >= 2020


def test_a_damaged_seal_is_named(root):
    plan = finished(root, UNITS)
    Path(seal_uri(root, plan.plan_id)).write_text("{}")
    with pytest.raises(SealError, match=f"{plan.plan_id}\\.json: not a seal"):
        plan_status(plan.plan_id, root)
