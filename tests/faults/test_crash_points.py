"""A driver that is killed at any step of the protocol loses nothing: the next run completes the undisturbed catalogue."""

import os
import signal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.steps import Step
from infra.store.storage import list_files
from scanner.catalogue.ledger import Outcome, committed
from scanner.catalogue.plan import load_plan
from scanner.catalogue.query import query
from scanner.catalogue.seal import load_seal, seal
from tests.faults.harness import crash_points
from tests.faults.harness.crash_points import BEFORE_PUBLICATION, DISK_STEPS, STEPS, STORE_STEPS
from tests.faults.harness.night import (
    committed_sha256s,
    finish,
    is_stopped,
    noted,
    run_night,
    scan_and_publish,
    small_night,
    start,
)
from tests.faults.harness.patience import wait_for

N_UNITS = 3
UNIT = "unit-001"
"""Unit at which a driver is killed: the second, which shares an object with the first and has one without light."""
NAMED, S3 = pytest.mark.faults, (pytest.mark.faults, pytest.mark.server)
COMMITTED = ("unit.linked", "unit.created")
COMMITTED_RECORD = ("shown.linked", "shown.created")


def cases(steps):
    """Return each step on disk and, for the fault tests only, on file systems without unnamed files and on S3."""
    on_disk = [pytest.param("disk", step, id=f"{step}-disk") for step in steps]
    named = [pytest.param("named", step, id=f"{step}-named", marks=NAMED) for step in steps if step in DISK_STEPS]
    in_store = [pytest.param("s3", step, id=f"{step}-s3", marks=S3) for step in steps if step in STORE_STEPS]
    return [*on_disk, *named, *in_store]


def steps_of(*things):
    return [step for step in STEPS if step.partition(".")[0] in things]


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    return small_night(tmp_path_factory.mktemp("night"), N_UNITS)


@pytest.fixture
def crash(night, request, tmp_path):
    """Return a function that runs a driver until it is killed at a step; it returns the catalogue's root and the log."""

    def run(store, step, unit=None):
        root = request.getfixturevalue("s3") if store == "s3" else str(tmp_path / "catalogue")
        fatal = {"step": step, "unit": unit}
        dying = start(run_night, night.inputs, root, tmp_path / "log", crash=fatal, named_staging=store == "named")
        finish(dying, -signal.SIGKILL)
        if store == "named":
            assert len(list(Path(root).rglob(".*.tmp"))) == 1, "a killed writer leaves its staging file"
        return root, tmp_path / "log"

    return run


def finish_the_night(night, root, log):
    """Run again, check that committed files are unchanged, and return the share of work that was done again."""
    before = committed_sha256s(root)
    finish(start(run_night, night.inputs, root, log))
    after = committed_sha256s(root)
    assert {uri: after[uri] for uri in before} == before
    night.check(root)
    n_scored = noted(log).count("scored")
    assert n_scored <= N_UNITS + 1
    return (n_scored - N_UNITS) / n_scored if n_scored > N_UNITS else 0.0


@pytest.mark.fault(4)
@pytest.mark.parametrize(("store", "step"), cases([*BEFORE_PUBLICATION, *(s for s in steps_of("unit") if s not in COMMITTED)]))
def test_a_writer_killed_before_the_commit_repeats_the_unit(crash, night, measured, store, step):
    root, log = crash(store, step, UNIT)
    assert [uri.rpartition("/")[2] for uri in committed_sha256s(root)] == ["unit-000.unit"]
    measured(driver_kills_no_ray=1, work_done_again=finish_the_night(night, root, log))


@pytest.mark.fault(2)
@pytest.mark.parametrize(("store", "step"), cases(COMMITTED))
def test_a_writer_killed_after_the_commit_repeats_nothing(crash, night, measured, store, step):
    root, log = crash(store, step, UNIT)
    assert "committed" not in noted(log)[2:], "the receipt of the second unit must be lost"
    before = committed_sha256s(root)
    assert [uri.rpartition("/")[2] for uri in before] == ["unit-000.unit", f"{UNIT}.unit"]
    plan = load_plan(root, night.golden.plan.plan_id)
    receipt = scan_and_publish(plan.units[1], plan, root)
    assert receipt == committed(plan.units[1], plan, root)
    assert receipt.outcome is Outcome.ALREADY_COMMITTED
    assert receipt.sha256 in before.values()
    measured(driver_kills_no_ray=1, work_done_again=finish_the_night(night, root, log))
    assert noted(log).count("scored") == N_UNITS


@pytest.mark.fault(4)
@pytest.mark.parametrize(("store", "step"), cases(steps_of("plan", "asked")))
def test_a_driver_killed_while_freezing_the_plan_can_restart(crash, night, measured, store, step):
    root, log = crash(store, step)
    written = [step.startswith("asked") or step in {"plan.linked", "plan.created"}, step in {"asked.linked", "asked.created"}]
    assert len(list_files(root)) == sum(written)
    measured(driver_kills_no_ray=1, work_done_again=finish_the_night(night, root, log))


@pytest.mark.fault(40)
@pytest.mark.parametrize(("store", "step"), cases(steps_of("candidates", "seal")))
def test_a_seal_interrupted_by_a_kill_is_finished_later(crash, night, measured, store, step):
    root, log = crash(store, step)
    is_sealed = step in {"seal.linked", "seal.created"}
    assert (load_seal(root, night.golden.plan.plan_id) is not None) == is_sealed
    n_candidate_files = len(list_files(f"{root}/_scan/sealed"))
    assert n_candidate_files == (step not in {"candidates.create", "candidates.sync", "candidates.link"})
    measured(driver_kills_no_ray=1, work_done_again=finish_the_night(night, root, log))
    assert noted(log).count("scored") == N_UNITS


@pytest.mark.fault(40)
@pytest.mark.parametrize(("store", "step"), cases(steps_of("shown", "night")))
def test_a_sealed_night_that_is_not_shown_is_shown_later(crash, night, measured, store, step):
    root, log = crash(store, step)
    is_recorded = step.startswith("night.") or step in COMMITTED_RECORD
    assert len(list_files(f"{root}/_scan/journal")) == 1 + is_recorded
    assert bool(list_files(f"{root}/candidates")) == (step == "night.replaced")
    if is_recorded:
        expected = pq.read_table(pa.BufferReader(night.golden.candidates))["object_id"]
        assert query(root)["object_id"].to_pylist() == expected.to_pylist()
    measured(driver_kills_no_ray=1, work_done_again=finish_the_night(night, root, log))
    assert noted(log).count("scored") == N_UNITS


@pytest.mark.fault(34)
def test_folders_of_units_are_synced_before_the_seal(night, tmp_path, monkeypatch):
    """A driver may be killed after it linked a unit or made a folder, and before the fsync of the parent folder."""
    root = tmp_path / "catalogue"
    finish(start(run_night, night.inputs, str(root), crash={"step": "candidates.create"}), -signal.SIGKILL)
    plan, calls = night.golden.plan, []
    fsync, link = os.fsync, os.link
    monkeypatch.setattr(os, "fsync", lambda file: (calls.append(str(Path(f"/proc/self/fd/{file}").readlink())), fsync(file)))
    monkeypatch.setattr(os, "link", lambda *args, **kwargs: (calls.append("link"), link(*args, **kwargs)))
    seal(plan, str(root))
    folder = root / "_scan" / "units" / f"plan={plan.plan_id}"
    assert {str(folder), *map(str, folder.parents[:3])} <= set(calls[: calls.index("link")])


def test_every_crash_point_is_tested():
    tried = {*BEFORE_PUBLICATION, *steps_of("unit", "plan", "asked", "candidates", "seal", "shown", "night")}
    assert tried == set(STEPS) == {*STORE_STEPS, *DISK_STEPS}


def run_as_a_worker(*args):
    crash_points.install_from_environment()
    run_night(*args)


def test_a_crash_point_of_the_environment_acts_once(night, tmp_path, monkeypatch):
    root, log, flag = str(tmp_path / "catalogue"), tmp_path / "log", tmp_path / "died"
    for name, value in {"AT": Step.SCORED, "UNIT": "unit-002", "ONCE": flag}.items():
        monkeypatch.setenv(f"LENSSCAN_TEST_CRASH_{name}", str(value))
    finish(start(run_as_a_worker, night.inputs, root, log), -signal.SIGKILL)
    assert flag.exists()
    assert len(committed_sha256s(root)) == 2
    finish(start(run_as_a_worker, night.inputs, root, log))
    night.check(root)


def test_a_process_stopped_at_a_crash_point_can_continue(night, tmp_path):
    root, flag = str(tmp_path / "catalogue"), tmp_path / "stopped"
    fatal = {"step": "unit.link", "unit": UNIT, "how": "stop", "once": flag}
    process = start(run_night, night.inputs, root, crash=fatal)
    wait_for("the stop", lambda: is_stopped(process))
    assert len(committed_sha256s(root)) == 1
    os.kill(process.pid, signal.SIGCONT)
    finish(process)
    night.check(root)


def test_an_unknown_step_is_refused():
    with pytest.raises(ValueError, match=r"no such point or way: unit\.whenever kill"):
        crash_points.install("unit.whenever")
