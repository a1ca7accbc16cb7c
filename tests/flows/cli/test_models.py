"""Tests of the commands that make and manage networks."""

import json
from pathlib import Path

import pytest

from scanner.sources.shards import decode_shard, encode_shard
from simulation.products.dataset import DatasetSpec, simulate_shard

pytestmark = pytest.mark.usefixtures("prefect_api")


def test_models_list_prints_json(lensscan):
    rows = json.loads(lensscan("models", "list", "--json").stdout)
    assert {"name", "networks", "folder"} == set(rows[0])
    assert "ou7-sim" in {row["name"] for row in rows}


def test_evaluate_writes_figures_and_plots(lensscan, tmp_path):
    (tmp_path / "shard-00000.parquet").write_bytes(encode_shard(simulate_shard(DatasetSpec(n=40, seed=4), 0)))
    done = lensscan("evaluate", tmp_path, "--out", tmp_path / "figures", "--json")
    assert done.returncode == 0, done.stderr
    shown, written = json.loads(done.stdout), json.loads((tmp_path / "figures" / "evaluation.json").read_text())
    assert sum(shown["n_objects"].values()) == 40
    assert {name: written[name] for name in shown} == shown
    assert written["ensemble"] in (tmp_path / "figures" / "EVALUATION.md").read_text()
    assert {path.name for path in (tmp_path / "figures").glob("*.png")} == {"roc.png", "reliability.png", "completeness.png"}


@pytest.mark.parametrize("flow", [(), ("--flow",)], ids=["here", "flow"])
def test_simulate_writes_the_requested_kinds_and_geometry(lensscan, tmp_path, flow):
    args = ["--n", 5, "--kinds", "double_ring=1,ring_galaxy=1", "--geometry", "mer", "--components", "--json"]
    done = lensscan("simulate", *args, *flow, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["n_objects"] == 5
    shard = decode_shard(Path(result["shards"][0]).read_bytes())
    assert shard.geometry.name == "mer"
    assert set(shard.truth["morphology"].to_pylist()) == {"double_ring", "ring_galaxy"}
    assert shard.components["source2"]["VIS"].any()
    assert Path(result["contact_sheet"]).read_bytes().startswith(b"\x89PNG")
