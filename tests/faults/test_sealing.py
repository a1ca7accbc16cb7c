"""Row 40: a killed or raced sealing ends with the same content, and looks finished only when it is."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scanner.catalogue.audit.reconcile import reconcile
from scanner.catalogue.audit.status import plan_status
from scanner.catalogue.audit.verify import verify_plan
from scanner.catalogue.query import query
from scanner.catalogue.seal import load_seal
from scanner.catalogue.wanted import Wanted
from tests.faults.harness import harm, patience
from tests.scanner.audited import elsewhere, make_audited

SEALER = """
import os, signal, sys, time
from pathlib import Path
from scanner.catalogue import seal as module
from scanner.catalogue.plan import load_plan

root, plan_id, kill_at, go = sys.argv[1:]
real, calls = module.create_if_absent, []

def watched(uri, data, attempt):
    calls.append(uri)
    if kill_at == f"before {len(calls)}":
        os.kill(os.getpid(), signal.SIGKILL)
    outcome = real(uri, data, attempt)
    if kill_at == f"after {len(calls)}":
        os.kill(os.getpid(), signal.SIGKILL)
    return outcome

module.create_if_absent = watched
plan = load_plan(root, plan_id)
print("ready", flush=True)
while go and not Path(go).exists():
    time.sleep(0.001)
print(module.seal(plan, root).model_dump_json(), flush=True)
os._exit(0)
"""
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


def sealer(night, kill_at="", go=""):
    args = [sys.executable, "-W", "ignore", "-c", SEALER, night.root, night.plan.plan_id, kill_at, str(go)]
    return subprocess.Popen(args, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent.parent)


def folders(night):
    return sorted({name.split("/")[1] for name in night.contents()})


@pytest.mark.fault(40)
@pytest.mark.parametrize(
    "kill_at", ["after 1", *(pytest.param(at, marks=pytest.mark.faults) for at in POINTS if at != "after 1")]
)
def test_a_seal_killed_at_any_step_can_be_finished(night, tmp_path, measured, kill_at):
    with sealer(night, kill_at) as process:
        process.communicate(timeout=patience.scaled(100))
    assert process.returncode == -signal.SIGKILL
    assert folders(night) == POINTS[kill_at]
    is_sealed = kill_at == "after 2"
    assert (load_seal(night.root, night.plan.plan_id) is not None) is is_sealed
    assert plan_status(night.plan.plan_id, night.root).is_sealed is is_sealed
    assert query(night.root, Wanted(all_plans=True))["object_id"].to_pylist() == [8, 7, 6, 5, 4, 3]
    assert query(night.root, Wanted(all_plans=True), sql="SELECT count(*) AS n FROM scores").to_pylist() == [{"n": 8}]
    assert verify_plan(night.plan.plan_id, night.root, deep=True).faults == []
    start = time.monotonic()
    report = night.seal()
    recovery = time.monotonic() - start
    undisturbed = elsewhere(night, tmp_path / "undisturbed").contents()
    harm.assert_none(harm.compare_catalogues(night.contents(), undisturbed))
    assert night.contents() == undisturbed
    assert (report.n_rows, report.n_candidates) == (8, 6)
    assert reconcile(night.plan, night.root).is_equal
    measured(driver_kills_no_ray=1, recovery_s=recovery)


@pytest.mark.fault(40)
def test_two_sealers_at_once_write_one_content(night, tmp_path, measured):
    go = tmp_path / "go"
    with sealer(night, go=go) as one, sealer(night, go=go) as other:
        assert [process.stdout.readline() for process in (one, other)] == ["ready\n"] * 2
        go.touch()
        reports = [process.communicate(timeout=patience.scaled(100))[0] for process in (one, other)]
    assert one.returncode == other.returncode == 0
    assert reports[0] == reports[1]
    before = night.contents()
    assert len(before) == 7
    assert night.seal().model_dump_json() + "\n" == reports[0]
    assert night.contents() == before
    assert reconcile(night.plan, night.root).is_equal
    measured(runs=1)


@pytest.mark.fault(40)
@pytest.mark.faults
def test_a_killed_sealer_does_not_disturb_another(night, tmp_path, measured):
    go = tmp_path / "go"
    with sealer(night, go=go) as survivor, sealer(night, "after 1", go) as victim:
        assert [process.stdout.readline() for process in (survivor, victim)] == ["ready\n"] * 2
        go.touch()
        survivor.communicate(timeout=patience.scaled(100))
        victim.communicate(timeout=patience.scaled(100))
    # The survivor may have sealed before the victim reached its step.
    assert survivor.returncode == 0
    assert victim.returncode in {0, -signal.SIGKILL}
    assert reconcile(night.plan, night.root).is_equal
    assert verify_plan(night.plan.plan_id, night.root, deep=True).faults == []
    measured(driver_kills_no_ray=int(victim.returncode == -signal.SIGKILL))
