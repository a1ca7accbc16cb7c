"""`lensscan completeness` as people run it, on a real tile: numbers, files, and nothing to do the second time."""

import json

import pyarrow.parquet as pq
import pytest

import lensscan as lensscan_module
from scanner.catalogue.injected import current_injected
from tests.simulation.injection.hosting import hosting, simulated_tile

OPTIONS = ("--n", "6", "--seed", "3", "--units", "4", "--workers", "1", "--engine", "openvino")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("completeness")
    simulated_tile(folder / "tiles")
    return hosting(folder / "tiles", folder / "catalogue").root


def ran(lensscan, *words, **options):
    done = lensscan("completeness", *words, **options)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def test_the_command_measures_prints_and_writes(lensscan, root, tmp_path):
    told = json.loads(ran(lensscan, root, *OPTIONS, "--night", "undated", "--out", "t.parquet", "--json", cwd=tmp_path))
    injected = current_injected(root)
    assert (told["n"], told["seed"], told["most_units"], told["is_new"], told["night"]) == (6, 3, 4, True, None)
    assert told["n_injected"] == injected.table.num_rows >= 4
    assert told["n_recovered"] == sum(injected.table["is_recovered"].to_pylist())
    assert pq.read_table(tmp_path / "t.parquet").column("p_lens").equals(injected.table["p_lens"])
    again = ran(lensscan, root, *OPTIONS, cwd=tmp_path)
    assert "(nothing to do)" in again
    assert "Completeness in %, by Einstein radius" in again
    assert "Completeness in %, by S/N of the arcs" in again
    refused = lensscan("completeness", root, *OPTIONS, "--out", "t.parquet", cwd=tmp_path)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "is not replaced without --overwrite" in refused.stderr
    assert "t.parquet" in ran(lensscan, root, *OPTIONS, "--out", "t.parquet", "--overwrite", cwd=tmp_path)
    assert lensscan_module.open_catalogue(root).injections().to_arrow().num_rows == told["n_injected"]


def test_the_gate_judges_the_lenses_of_its_own_scan(lensscan, root, tmp_path):
    tiles, catalogue = f"{root.rpartition('/')[0]}/tiles", str(tmp_path / "catalogue")
    options = ("--gate", "--completeness", "6", "--maps", "0", "--workers", "1", "--json")
    scanned = lensscan("scan", tiles, "--out", catalogue, *options)
    assert scanned.returncode == 0, scanned.stderr
    summary = json.loads(scanned.stdout)
    assert summary["awaits_gate"]
    verdict = json.loads(lensscan("qa", catalogue, "--json").stdout)
    (check,) = [check for check in verdict["checks"] if check["name"] == "recovered"]
    found = summary["completeness"]
    assert check["value"] == pytest.approx(found["n_recovered"] / found["n_injected"])
    # Once readers see the night, they see these lenses.
    assert lensscan("promote", catalogue).returncode == 0
    assert current_injected(catalogue).table.num_rows == found["n_injected"]


def test_another_night_is_refused_in_one_line(lensscan, root):
    refused = lensscan("completeness", root, "--night", "2026-11-24")
    assert refused.returncode == 2
    assert refused.stderr == f"lensscan: {root}: no complete scan of night 2026-11-24\n"
