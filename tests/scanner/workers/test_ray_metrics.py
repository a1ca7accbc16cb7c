"""Ray's own endpoint shows the metrics of a run on a real cluster, with the numbers that the catalogue holds."""

import subprocess
import sys
import urllib.request
from dataclasses import replace
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from scanner.catalogue.ledger import Outcome, Receipt
from scanner.catalogue.runs import run_records
from scanner.workers import ray_metrics
from scanner.workers.run_tally import RunTally
from tests.faults.harness.ray_heads import ray_head
from tests.faults.harness.scanned_night import NIGHT, write_shards
from tests.scanner.ensembles import SPECS, write_test_package
from tests.servers import wait_for

N_UNITS, N_ROWS = 4, 6
TOKEN = "a0" * 32
DRIVER = (
    "import sys, ray\nfrom pathlib import Path\nfrom types import SimpleNamespace\n"
    "from tests.faults.harness.scanned_night import scan_here\n"
    "address, source, package, root, flags = sys.argv[1:]\n"
    "ray.init(address=address, log_to_driver=False)\n"
    "night = SimpleNamespace(source=Path(source), package=Path(package))\n"
    "scan_here(night, root, FAULT_CRASH_AT='opened', FAULT_FLAGS=flags)\n"
)


def samples_of(port):
    """Return the samples of lensscan, `{(name, code or stage): sum over processes}`."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name.startswith("ray_lensscan_"):
                assert sample.labels["night"] == str(NIGHT)
                key = sample.name.removeprefix("ray_lensscan_"), sample.labels.get("code") or sample.labels.get("stage") or ""
                found[key] = found.get(key, 0) + sample.value
    return found


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.server
@pytest.mark.parametrize("driver", ["gcs", "client"])
def test_a_head_shows_the_counters_of_workers_and_driver(tmp_path, driver):
    """A driver that is a Ray client has no node of its own that shows its metrics."""
    write_test_package(tmp_path / "package", SPECS[:1], seed=2)
    source = write_shards(tmp_path / "shards", N_UNITS, N_ROWS, {})
    root, flags = tmp_path / "root", tmp_path / "flags"
    flags.mkdir()
    with ray_head(TOKEN) as head:
        arguments = [getattr(head, driver), source, tmp_path / "package", root, flags]
        env = head.env | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
        subprocess.run([sys.executable, "-c", DRIVER, *map(str, arguments)], env=env, check=True, timeout=300)
        (record,) = run_records(str(root))
        assert record.rows_by_status == {"scored": N_UNITS * N_ROWS}
        expected = {
            ("rows_scored_total", ""): N_UNITS * N_ROWS,
            ("units_committed_total", ""): N_UNITS,
            ("candidates_total", ""): record.candidates,
            ("worker_deaths_total", ""): 1,
            ("night_progress", ""): 1,
        }
        found = {}

        def are_there():
            # Ray shows a gauge of a process that ended once only.
            found.update(samples_of(head.metrics_port))
            return found.get(("rows_scored_total", "")) == N_UNITS * N_ROWS

        # Ray's processes hand their metrics on every ten seconds.
        wait_for("the metrics", are_there)
    assert {key: found.get(key) for key in expected} == expected
    seconds = {stage: value for (name, stage), value in found.items() if name == "stage_seconds_total"}
    assert seconds == pytest.approx(record.stage_seconds)
    assert record.worker_deaths == 1


@pytest.fixture
def sent(monkeypatch):
    """Return the numbers that a Ray client sends to an actor of a cluster; the third call finds no cluster."""
    found = []

    def report(*numbers):
        if len(found) == 2:
            raise ConnectionError("Client disconnected")
        found.append(numbers)

    actor = SimpleNamespace(report=SimpleNamespace(remote=report))
    options = {"num_cpus": 0, "max_restarts": -1}
    made = {("night",): actor}
    remote = SimpleNamespace(options=lambda **given: SimpleNamespace(remote=lambda *of: made[of] if given == options else None))
    monkeypatch.setattr(ray_metrics, "ray_is_client", lambda: True)
    monkeypatch.setattr(ray_metrics.ray, "remote", lambda _: remote)
    return found


def test_a_ray_client_reports_from_an_actor_without_cpus(sent):
    tally = RunTally()
    ray_metrics.report_to_ray(tally, "night")
    tally.progressed(1, 4)
    tally.progressed(1, 4)
    tally.lost(0, 2)
    assert sent == [(0, 0, 0.25), (0, 2, 0.25)]


def test_a_cluster_that_is_gone_fails_no_report(sent):
    tally = RunTally()
    ray_metrics.report_to_ray(tally, "night")
    for n_done in (1, 2, 3):
        tally.progressed(n_done, 4)
    assert sent == [(0, 0, 0.25), (0, 0, 0.5)]


@pytest.fixture
def counted(monkeypatch):
    """Return the numbers that Ray's counters and gauges show in this process, by name and tags."""
    found = {}

    class Meter:
        def __init__(self, name, _description, tags):
            self._name, self._tags = name.removeprefix("lensscan_"), tags

        def inc(self, n, tags):
            assert n > 0
            self.set(found.get(self._of(tags), 0) + n, tags)

        def set(self, n, tags):
            found[self._of(tags)] = n

        def _of(self, tags):
            assert set(tags) == set(self._tags)
            assert tags["night"] == "2026-11-24"
            return (self._name, *(text for name, text in tags.items() if name != "night"))

    monkeypatch.setattr(ray_metrics, "Counter", Meter)
    monkeypatch.setattr(ray_metrics, "Gauge", Meter)
    return found


def test_a_worker_counts_what_it_commits_and_repeats(counted):
    rows = {"scored": 5, "rejected:blank": 2, "skipped:selection": 4}
    done = Receipt("a", "x", Outcome.COMMITTED, 11, 5, 2, 3, "", rows, {"read": 1.5}, n_store_retries=2)
    meters = ray_metrics.WorkerMeters("2026-11-24")
    for receipt in (done, done, replace(done, outcome=Outcome.LOST_RACE), replace(done, n_candidates=0, n_store_retries=0)):
        meters.count(receipt)
    assert counted == {
        ("store_retries",): 6,
        ("units_committed",): 3,
        ("candidates",): 6,
        ("rows_scored",): 15,
        ("rows_rejected", "blank"): 6,
        ("stage_seconds", "read"): 4.5,
    }


def test_a_driver_counts_each_loss_once(counted, monkeypatch):
    monkeypatch.setattr(ray_metrics, "ray_is_client", lambda: False)
    tally = RunTally()
    ray_metrics.report_to_ray(tally, "2026-11-24")
    for n_failed, n_deaths in ((0, 1), (1, 1), (1, 3)):
        tally.lost(n_failed, n_deaths)
    tally.progressed(3, 4)
    assert counted == {("units_failed",): 1, ("worker_deaths",): 3, ("night_progress",): 0.75}
