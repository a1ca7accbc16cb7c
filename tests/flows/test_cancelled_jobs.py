"""The hook of a cancelled run finds the jobs of the run by its parameters alone, as Prefect stores them."""

import json
from datetime import UTC, date, datetime
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest
from prefect import Flow

import flows.cancelled_jobs
from flows.backfill import backfill
from flows.commands.scan_job import base_id
from flows.commands.scan_options import ScanOptions, ScanOrder
from flows.night_steps import gated_order
from flows.nightly import nightly
from flows.rescore import rescore
from flows.scan_night import scan_night
from infra.errors import ClusterError

PLACES = {"input_uri": "s3://b/tiles/{night}", "root_uri": "s3://b/catalogue"}
DAY = date(2026, 1, 3)
OPTIONS = ScanOptions(ensemble="ou7-sim", tiles=("1",), publish_to="s3://b/collection")


def hook_of(flow):
    (hook,) = flow.on_cancellation_hooks
    return hook


def stopped(monkeypatch, hook, **parameters):
    """Return the ids of the works whose jobs the hook stops, for parameters that have been through JSON."""
    found = []
    monkeypatch.setattr(flows.cancelled_jobs, "stop_scan_job", lambda address, order: found.append((address, base_id(order))))
    stored = json.loads(json.dumps({**PLACES, "submit_to": "http://head:8265", **parameters}, default=str))
    run = SimpleNamespace(parameters=stored, expected_start_time=datetime(2026, 1, 3, 14, tzinfo=UTC))
    hook(flow=None, flow_run=run, state=None)
    assert {address for address, _ in found} <= {"http://head:8265"}
    return [work for _, work in found]


@pytest.mark.parametrize(("given", "night"), [(None, DAY), ("2026-01-02", date(2026, 1, 2)), ("none", None)])
def test_a_nightly_run_stops_its_own_work(monkeypatch, given, night):
    options = OPTIONS.model_dump(mode="json", exclude_defaults=True)
    found = stopped(monkeypatch, hook_of(nightly), night=given, scan=options, limits="limits.toml")
    assert found == [base_id(gated_order(**PLACES, night=night, options=OPTIONS))]


def test_a_scan_stops_its_own_work(monkeypatch):
    options = OPTIONS.model_dump(mode="json", exclude_defaults=True)
    assert stopped(monkeypatch, hook_of(scan_night), **options) == [base_id(ScanOrder(**PLACES, night=DAY, options=OPTIONS))]


@pytest.mark.parametrize(
    ("flow", "given"), [(backfill, {"scan": {"ensemble": "mer3-sim"}}), (rescore, {"ensemble": "mer3-sim"})]
)
def test_runs_over_nights_stop_the_work_of_all(monkeypatch, flow, given):
    nights = [date(2026, 1, 2), DAY]
    found = stopped(monkeypatch, hook_of(flow), since=nights[0], until=nights[1], **given)
    options = ScanOptions(ensemble="mer3-sim")
    assert found == [base_id(gated_order(**PLACES, night=night, options=options)) for night in nights]


def test_a_job_that_cannot_be_stopped_keeps_no_other_running(monkeypatch):
    asked = []

    def stop(_address, order):
        asked.append(order.night)
        raise ClusterError(f"no answer about {order.night}")

    monkeypatch.setattr(flows.cancelled_jobs, "stop_scan_job", stop)
    nights = [date(2026, 1, 2), DAY]
    parameters = {**PLACES, "submit_to": "http://head:8265", "since": nights[0], "until": nights[1], "scan": {}}
    run = SimpleNamespace(parameters=parameters, expected_start_time=datetime(2026, 1, 3, 14, tzinfo=UTC))
    with pytest.raises(ClusterError, match="no answer about 2026-01-02"):
        hook_of(backfill)(flow=None, flow_run=run, state=None)
    assert asked == nights


def test_a_run_without_a_job_stops_none(monkeypatch):
    assert stopped(monkeypatch, hook_of(nightly), submit_to=None) == []


def test_every_flow_that_submits_jobs_stops_them():
    paths = Path(flows.cancelled_jobs.__file__).parent.glob("*.py")
    names = [path.stem for path in paths if "submit_to" in path.read_text(encoding="utf-8")]
    found = [value for name in names for value in vars(import_module(f"flows.{name}")).values() if isinstance(value, Flow)]
    with_jobs = {flow.name: flow for flow in found if "submit_to" in flow.parameters.properties}
    assert set(with_jobs) == {"scan-night", "nightly", "backfill", "rescore"}
    assert all(flow.on_cancellation_hooks for flow in with_jobs.values())
