"""Listeners hear the steps of a unit in order, and nothing happens without them."""

import pytest

from infra import steps
from infra.steps import Step
from scanner.catalogue.find_units import find_units
from scanner.catalogue.ledger import committed, publish
from scanner.catalogue.plan import ScanConfig, make_plan
from scanner.scan.scoring import CutoutScanner
from tests.scanner.catalogue_parts import EnsembleName
from tests.scanner.mean_ensemble import MeanEnsemble
from tests.scanner.scanned import scanned
from tests.tiles import write_tile

NIGHT = "2026-01-02"


@pytest.fixture
def heard():
    calls = []

    def listener(step, subject):
        calls.append((step, subject))

    steps.listen(listener)
    yield calls
    if listener in steps._listeners:
        steps.stop_listening(listener)


def test_listeners_are_called_in_order_until_they_stop(heard):
    second = []
    steps.listen(second_listener := lambda step, subject: second.append((len(heard), step, subject)))
    steps.reached(Step.LOOK, "a")
    steps.stop_listening(second_listener)
    steps.reached(Step.LINK, "/b")
    assert heard == [(Step.LOOK, "a"), (Step.LINK, "/b")]
    assert second == [(1, Step.LOOK, "a")]


def test_a_unit_goes_through_every_step_once_in_order(tmp_path, heard):
    write_tile(tmp_path / "tiles", 3, n_objects=2)
    (unit,) = find_units(str(tmp_path / "tiles"))
    plan, root = make_plan(NIGHT, EnsembleName(), ScanConfig(), [unit]), str(tmp_path / "catalogue")
    assert committed(unit, plan, root) is None
    publish(scanned(unit, CutoutScanner(MeanEnsemble()), NIGHT), unit, plan, root, "try")
    assert [step for step, _ in heard] == [step for step in Step if step not in {Step.REPLACE, Step.REPLACED}]
    subjects = [subject for _, subject in heard]
    assert subjects[:5] == [unit.unit_id] * 5
    assert {subject.rpartition("/")[2] for subject in subjects[5:]} == {f"{unit.unit_id}.unit"}
