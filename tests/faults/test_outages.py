"""A store is unreachable in the middle of a scan, and returns."""

import os
import time

import pytest

from infra.store.storage import create_if_absent, join, list_files
from tests.faults.harness.patience import wait_for
from tests.faults.harness.s3_proxy import Refuse, Rule, s3_proxy
from tests.faults.harness.scanned_night import N_ROWS, N_UNITS, Night, done, fetch, start

pytestmark = [pytest.mark.ray, pytest.mark.server, pytest.mark.faults]

OUTAGE_S = 40


@pytest.mark.fault(17)
def test_a_scan_waits_out_an_outage_without_losing_rows(tmp_path, s3, measured):
    night = Night(tmp_path / "night")
    source, root = join(s3, "shards"), join(s3, "catalogue")
    for path in sorted(night.source.iterdir()):
        create_if_absent(join(source, path.name), path.read_bytes(), "test")
    with s3_proxy(os.environ["AWS_ENDPOINT_URL"]) as proxy:
        process = start(night, root, source=source, FAULT_SLOW_S="1", AWS_ENDPOINT_URL=proxy.url)
        wait_for("two units", lambda: len(list_files(join(root, "_scan/units"), ".unit")) >= 2, process=process)
        begun = time.monotonic()
        proxy.set_rules(Rule(Refuse(), seconds=OUTAGE_S))
        wait_for("the first refusal", lambda: proxy.count(fault="Refuse") > 0)
        n_before = len(list_files(join(root, "_scan/units"), ".unit"))
        assert n_before < N_UNITS
        wait_for("another unit", lambda: len(list_files(join(root, "_scan/units"), ".unit")) > n_before, 200, process)
        recovery_s = time.monotonic() - begun
        summary = done(process)
        n_refused = proxy.count(fault="Refuse")
        assert proxy.count("DELETE") <= 1, "only the probe's own object may be deleted"
    assert summary["n_workers_lost"] == 0
    assert summary["rows_by_status"] == {"scored": N_UNITS * N_ROWS}
    night.check(fetch(root, tmp_path / "copy"))
    note = f"all {n_refused} requests of {OUTAGE_S} s refused in the middle of a scan; recovery counts from the first of them"
    measured(recovery_s=recovery_s, note=note)
