"""Row 40: a killed or raced sealing ends with the same content, and looks finished only when it is."""

import os
import signal
import time

import pytest

from scanner.catalogue import seal as sealing
from scanner.catalogue.audit.reconcile import reconcile
from scanner.catalogue.audit.status import plan_status
from scanner.catalogue.audit.verify import verify_plan
from scanner.catalogue.plan import load_plan
from scanner.catalogue.query import query
from scanner.catalogue.seal import load_seal
from scanner.catalogue.wanted import Wanted
from tests.faults.harness import harm, patience
from tests.faults.harness.night import finish, start
from tests.scanner.audited import elsewhere, make_audited

POINTS = {
    "before 1": ["plans", "units"],
    "after 1": ["plans", "sealed", "units"],
    "before 2": ["plans", "sealed", "units"],
    "after 2": ["plans", "sealed", "seals", "units"],
}
"""Folders that exist after the sealer was killed before or after its first file (the candidates) or its second (the seal)."""


@pytest.fixture(params=["path", pytest.param("s3", marks=pytest.mark.server)])
def night(request, tmp_path):
    """Return a night that is committed and not sealed."""
    root = request.getfixturevalue("s3") if request.param == "s3" else str(tmp_path / "catalogue")
    made = make_audited(tmp_path, root)
    made.scan()
    return made


def seal_and_tell(root, plan_id, folder, kill_at, go):
    """Seal in a fork: kill it before or after its first or second file; else begin at `go`, and write the report."""
    create, calls = sealing.create_if_absent, []

    def watched(uri, data, attempt):
        calls.append(uri)
        if kill_at == f"before {len(calls)}":
            os.kill(os.getpid(), signal.SIGKILL)
        outcome = create(uri, data, attempt)
        if kill_at == f"after {len(calls)}":
            os.kill(os.getpid(), signal.SIGKILL)
        return outcome

    sealing.create_if_absent = watched
    plan = load_plan(root, plan_id)
    (folder / f"ready-{os.getpid()}").touch()
    while go and not go.exists():
        time.sleep(0.001)
    (folder / f"{os.getpid()}.json").write_text(sealing.seal(plan, root).model_dump_json())


@pytest.fixture
def sealer(night, tmp_path):
    """Return a function that starts to seal the night in a process of its own."""
    (tmp_path / "said").mkdir()
    return lambda kill_at="", go=None: start(seal_and_tell, night.root, night.plan.plan_id, tmp_path / "said", kill_at, go)


def release(go, *sealers):
    """Let sealers begin at the same time, once both are ready."""
    said = go.parent / "said"
    patience.wait_for("both sealers", lambda: all((said / f"ready-{sealer.pid}").exists() for sealer in sealers))
    go.touch()


def report_of(sealer, tmp_path):
    return (tmp_path / "said" / f"{sealer.pid}.json").read_text()


def folders(night):
    return sorted({name.split("/")[1] for name in night.contents()})


@pytest.mark.fault(40)
@pytest.mark.parametrize(
    "kill_at", ["after 1", *(pytest.param(at, marks=pytest.mark.faults) for at in POINTS if at != "after 1")]
)
def test_a_seal_killed_at_any_step_can_be_finished(night, sealer, tmp_path, measured, kill_at):
    finish(sealer(kill_at), -signal.SIGKILL)
    assert folders(night) == POINTS[kill_at]
    is_sealed = kill_at == "after 2"
    assert (load_seal(night.root, night.plan.plan_id) is not None) is is_sealed
    assert plan_status(night.plan.plan_id, night.root).is_sealed is is_sealed
    assert query(night.root, Wanted(all_plans=True))["object_id"].to_pylist() == [8, 7, 6, 5, 4, 3]
    assert query(night.root, Wanted(all_plans=True), sql="SELECT count(*) AS n FROM scores").to_pylist() == [{"n": 8}]
    assert verify_plan(night.plan.plan_id, night.root, deep=True).faults == []
    begun = time.monotonic()
    report = night.seal()
    recovery = time.monotonic() - begun
    undisturbed = elsewhere(night, tmp_path / "undisturbed").contents()
    harm.assert_none(harm.compare_catalogues(night.contents(), undisturbed))
    assert night.contents() == undisturbed
    assert (report.n_rows, report.n_candidates) == (8, 6)
    assert reconcile(night.plan, night.root).is_equal
    measured(driver_kills_no_ray=1, recovery_s=recovery)


@pytest.mark.fault(40)
def test_two_sealers_at_once_write_one_content(night, sealer, tmp_path, measured):
    go = tmp_path / "go"
    both = sealer(go=go), sealer(go=go)
    release(go, *both)
    for process in both:
        finish(process)
    one, other = (report_of(process, tmp_path) for process in both)
    assert one == other
    before = night.contents()
    assert len(before) == 7
    assert night.seal().model_dump_json() == one
    assert night.contents() == before
    assert reconcile(night.plan, night.root).is_equal
    measured(runs=1)


@pytest.mark.fault(40)
@pytest.mark.faults
def test_a_killed_sealer_does_not_disturb_another(night, sealer, tmp_path, measured):
    go = tmp_path / "go"
    survivor, victim = sealer(go=go), sealer("after 1", go)
    release(go, survivor, victim)
    finish(survivor)
    victim.join(patience.scaled(100))
    # The survivor may have sealed before the victim reached its step.
    assert victim.exitcode in {0, -signal.SIGKILL}
    assert reconcile(night.plan, night.root).is_equal
    assert verify_plan(night.plan.plan_id, night.root, deep=True).faults == []
    measured(driver_kills_no_ray=int(victim.exitcode == -signal.SIGKILL))
