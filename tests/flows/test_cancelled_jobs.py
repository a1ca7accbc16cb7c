"""The hook of a cancelled run finds the jobs of the run by its parameters alone, as Prefect stores them."""

import json
from datetime import UTC, date, datetime
from types import SimpleNamespace

import pytest

import flows.cancelled_jobs
from flows.backfill import orders_between
from flows.cancelled_jobs import stops_jobs
from flows.commands.scan_job import base_id
from flows.commands.scan_options import ScanOptions, ScanOrder
from flows.night_steps import gated_order
from flows.nightly import _orders as of_nightly
from flows.scan_night import _orders as of_scan_night

PLACES = {"input_uri": "s3://b/tiles/{night}", "root_uri": "s3://b/catalogue"}
DAY = date(2026, 1, 3)
OPTIONS = ScanOptions(ensemble="ou7-sim", tiles=("1",), publish_to="s3://b/collection")


def stopped(monkeypatch, orders_of, **parameters):
    """Return the ids of the works whose jobs the hook stops, for parameters that have been through JSON."""
    found = []
    monkeypatch.setattr(flows.cancelled_jobs, "stop_scan_job", lambda address, order: found.append((address, base_id(order))))
    stored = json.loads(json.dumps({**PLACES, "submit_to": "http://head:8265", **parameters}, default=str))
    run = SimpleNamespace(parameters=stored, expected_start_time=datetime(2026, 1, 3, 14, tzinfo=UTC))
    stops_jobs(orders_of)(flow=None, flow_run=run, state=None)
    assert {address for address, _ in found} <= {"http://head:8265"}
    return [work for _, work in found]


@pytest.mark.parametrize(("given", "night"), [(None, DAY), ("2026-01-02", date(2026, 1, 2)), ("none", None)])
def test_a_nightly_run_stops_its_own_work(monkeypatch, given, night):
    options = OPTIONS.model_dump(mode="json", exclude_defaults=True)
    found = stopped(monkeypatch, of_nightly, night=given, scan=options, limits="limits.toml")
    assert found == [base_id(gated_order(**PLACES, night=night, options=OPTIONS))]


def test_a_scan_stops_its_own_work(monkeypatch):
    options = OPTIONS.model_dump(mode="json", exclude_defaults=True)
    assert stopped(monkeypatch, of_scan_night, **options) == [base_id(ScanOrder(**PLACES, night=DAY, options=OPTIONS))]


def test_a_backfill_stops_the_work_of_all_its_nights(monkeypatch):
    nights = [date(2026, 1, 2), DAY]
    found = stopped(monkeypatch, orders_between, since=nights[0], until=nights[1], ensemble="mer3-sim")
    options = ScanOptions(ensemble="mer3-sim")
    assert found == [base_id(gated_order(**PLACES, night=night, options=options)) for night in nights]


def test_a_run_without_a_job_stops_none(monkeypatch):
    assert stopped(monkeypatch, of_nightly, submit_to=None) == []
