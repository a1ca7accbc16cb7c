"""Racing writers and sealers leave one file of each unit and one seal; the losers report that they lost."""

import json
import os
import signal
from collections import Counter

import pytest

from infra.store.storage import list_files, read_bytes
from scanner.catalogue.gate import begin
from scanner.catalogue.ledger import Outcome, publish
from scanner.catalogue.night_file import show
from scanner.catalogue.plan import build_plan, freeze
from scanner.catalogue.seal import seal
from scanner.scan.scoring import CutoutScanner
from tests.faults.harness import patience
from tests.faults.harness.night import (
    CONFIG,
    NIGHT,
    PixelEnsemble,
    finish,
    forks,
    is_stopped,
    noted,
    run_night,
    small_night,
    start,
)
from tests.scanner.scanned import scanned

N_UNITS = 20


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    return small_night(tmp_path_factory.mktemp("night"), N_UNITS)


ON_S3 = pytest.param("s3", marks=[pytest.mark.faults, pytest.mark.server])


@pytest.fixture(params=["disk", ON_S3])
def root(request, tmp_path):
    return request.getfixturevalue("s3") if request.param == "s3" else str(tmp_path / "catalogue")


def race(inputs, root_uri, attempt, barrier, receipts, in_step):
    """Score all units, publish them at the same time as the other runs (step by step if `in_step`), seal and show."""
    plan = build_plan(str(inputs), NIGHT, PixelEnsemble(), CONFIG)
    scanner = CutoutScanner(PixelEnsemble(), CONFIG.batch_size)
    tables = [scanned(unit, scanner, NIGHT) for unit in plan.units]
    barrier.wait()
    freeze(plan, root_uri)
    begin(plan, root_uri, CONFIG.candidate_threshold, gate=False)
    found = []
    for unit, table in zip(plan.units, tables, strict=True):
        if in_step:
            barrier.wait()
        found.append(publish(table, unit, plan, root_uri, f"{attempt}-{unit.unit_id}"))
    barrier.wait()
    report = seal(plan, root_uri)
    show(plan, root_uri)
    said = [(receipt.unit_id, receipt.attempt, receipt.outcome, receipt.sha256) for receipt in found]
    receipts.write_text(json.dumps([said, report.model_dump()]), encoding="utf-8")


@pytest.mark.fault(11)
@pytest.mark.parametrize("in_step", [True, False], ids=["in_step", "at_will"])
def test_two_racing_runs_commit_each_unit_once(night, root, tmp_path, measured, in_step):
    barrier = forks().Barrier(2)
    files = [tmp_path / name for name in "ab"]
    runners = [start(race, night.inputs, root, file.name, barrier, file, in_step) for file in files]
    for runner in runners:
        finish(runner)
    found = night.check(root)
    (first, first_seal), (second, second_seal) = (json.loads(file.read_text()) for file in files)
    assert first_seal == second_seal == found.seal.model_dump()
    outcomes = Counter()
    for (unit_id, *one), (_, *other) in zip(first, second, strict=True):
        winner, loser = sorted([one, other], key=lambda receipt: receipt[1] != Outcome.COMMITTED)
        assert winner[1] == Outcome.COMMITTED
        assert loser[1] in {Outcome.LOST_RACE, Outcome.ALREADY_COMMITTED}
        assert loser[0] == winner[0], "the loser must name the attempt that wrote the file"
        assert loser[2] == winner[2] == found.sha256s[unit_id]
        outcomes[loser[1]] += 1
    if in_step:
        assert outcomes[Outcome.LOST_RACE], "the runs must race for at least one unit"
    n_late = outcomes[Outcome.LOST_RACE]
    measured(runs=N_UNITS, note=f"{n_late} of {N_UNITS} losers found nothing when they looked, and lost at the link or put")


@pytest.mark.fault(11)
def test_two_drivers_started_together_share_the_work(night, root, tmp_path, measured):
    logs = [tmp_path / name for name in "ab"]
    runners = [start(run_night, night.inputs, root, log, order=i) for i, log in enumerate(logs)]
    for runner in runners:
        finish(runner)
    night.check(root)
    lines = [line for log in logs for line in noted(log)]
    assert lines.count("committed") == N_UNITS
    n_scored = lines.count("scored")
    measured(work_done_again=(n_scored - N_UNITS) / n_scored)


def contents(root):
    return {file.uri: read_bytes(file.uri) for file in list_files(root)}


@pytest.mark.faults
@pytest.mark.parametrize(
    ("root", "step"),
    [
        pytest.param("disk", "unit.link", marks=pytest.mark.fault(12)),
        pytest.param("disk", "candidates.link", marks=pytest.mark.fault(40)),
        pytest.param("disk", "seal.link", marks=pytest.mark.fault(40)),
        pytest.param("s3", "unit.create", marks=[pytest.mark.fault(12), pytest.mark.server]),
        pytest.param("s3", "seal.create", marks=[pytest.mark.fault(40), pytest.mark.server]),
    ],
    indirect=["root"],
)
def test_a_stopped_writer_changes_nothing_when_it_continues(night, root, tmp_path, step):
    """The writer is stopped with all bytes ready, one call before they become visible; another driver does its work."""
    log = tmp_path / "log"
    zombie = start(run_night, night.inputs, root, log, crash={"step": step, "unit": "unit-012", "how": "stop"})
    patience.wait_for("the stop", lambda: is_stopped(zombie))
    n_before = noted(log).count("committed")
    finish(start(run_night, night.inputs, root))
    night.check(root)
    before, n_lines = contents(root), len(noted(log))
    os.kill(zombie.pid, signal.SIGCONT)
    finish(zombie)
    assert contents(root) == before
    if step.startswith("unit"):
        assert n_before == 12
        assert noted(log)[n_lines:] == ["lost_race", *["already_committed"] * 7]
