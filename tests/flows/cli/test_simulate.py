"""`lensscan simulate` on the command line."""

import json
import re
from pathlib import Path

import pytest

from flows.cli.simulate import simulate
from scanner.sources.shards import decode_shard
from simulation.products.render import SimulationError


def test_simulate_writes_the_requested_kinds_and_geometry(lensscan, tmp_path):
    args = ["--n", 5, "--kinds", "double_ring=1,ring_galaxy=1", "--geometry", "mer", "--components", "--json"]
    done = lensscan("simulate", *args, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["n_objects"], result["n_rows"]) == (5, 5)
    shard = decode_shard(Path(result["shards"][0]).read_bytes())
    assert shard.geometry.name == "mer"
    assert set(shard.truth["morphology"].to_pylist()) == {"double_ring", "ring_galaxy"}
    assert shard.components["source2"]["VIS"].any()
    assert Path(result["contact_sheet"]).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("pairs", [True, False])
def test_simulate_counts_the_rows_of_its_shards(tmp_path, capsys, pairs):
    options = {"out": str(tmp_path), "n": 6, "kinds": "single=1,star=1", "geometry": "mer10", "pairs": pairs}
    simulate(**options)
    printed = dict(re.findall(r"(.+?)  +(.+)\n", capsys.readouterr().out))
    (path,) = tmp_path.glob("*.parquet")
    kinds = decode_shard(path.read_bytes()).truth["kind"].to_pylist()
    n_lenses = kinds.count("single")
    assert 0 < n_lenses < 6
    assert len(kinds) == 6 + n_lenses * pairs
    assert (printed["objects"], printed.get("with pairs")) == ("6", str(len(kinds)) if pairs else None)
    simulate(**options, json=True)
    again = json.loads(capsys.readouterr().out)
    assert (again["n_objects"], again["n_rows"]) == (6, len(kinds))


def test_simulate_refuses_a_contact_sheet_of_other_shards(tmp_path):
    options = {"out": str(tmp_path), "n": 1, "kinds": "star", "geometry": "mer10"}
    simulate(**options)
    (tmp_path / "shard-00000.parquet").unlink()
    with pytest.raises(SimulationError, match=r"contact_sheet\.png shows shards that are gone; remove it"):
        simulate(**options, seed=2)
    assert not (tmp_path / "shard-00000.parquet").exists()
