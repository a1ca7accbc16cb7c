"""Ray's own endpoint shows the metrics of a run on a real cluster, with the numbers that the catalogue holds."""

import subprocess
import sys
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from scanner.catalogue.runs import run_records
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
def test_a_head_shows_the_counters_of_workers_and_driver(tmp_path):
    write_test_package(tmp_path / "package", SPECS[:1], seed=2)
    source = write_shards(tmp_path / "shards", N_UNITS, N_ROWS, {})
    root, flags = tmp_path / "root", tmp_path / "flags"
    flags.mkdir()
    with ray_head(TOKEN) as head:
        arguments = [head.gcs, source, tmp_path / "package", root, flags]
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
        # Ray's processes hand their metrics on every ten seconds.
        wait_for("the metrics", lambda: samples_of(head.metrics_port).get(("rows_scored_total", "")) == N_UNITS * N_ROWS)
        found = samples_of(head.metrics_port)
    assert {key: found.get(key) for key in expected} == expected
    seconds = {stage: value for (name, stage), value in found.items() if name == "stage_seconds_total"}
    assert seconds == pytest.approx(record.stage_seconds)
    assert record.worker_deaths == 1
