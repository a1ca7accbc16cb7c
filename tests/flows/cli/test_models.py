"""Tests of the commands that make and manage networks."""

import json
import re
import shutil
from pathlib import Path

import pytest

from flows.cli.models import false_positives, list_models
from flows.commands.list_models import listed_models
from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from scanner.sources.shards import decode_shard, encode_shard
from simulation.products.dataset import DatasetSpec, simulate_shard


def test_models_list_says_which_is_default_and_what_for(lensscan, tmp_path, monkeypatch, capsys):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "card.json").write_text("{}")
    rows = json.loads(lensscan("models", "list", "--json", LENSSCAN_ENSEMBLES_DIR=str(tmp_path)).stdout)
    by_name = {row["name"]: row for row in rows}
    assert [name for name, row in by_name.items() if row["is_default"]] == ["mer3-cascade"]
    mine, card = by_name["mer3-cascade"], read_card(SHIPPED_DIR / "mer3-cascade")
    assert mine["purpose"] == "scans of Euclid MER tiles and cutouts"
    assert (mine["networks"], mine["geometry"], mine["bands"]) == (8, "mer10", "VIS Y J H")
    interval = [card.metrics[name] for name in ("auroc", "auroc_low", "auroc_high")]
    assert [float(text) for text in re.findall(r"[0-9.]+", mine["auroc_own_test"])] == pytest.approx(interval, abs=5e-4)
    assert by_name["broken"]["purpose"] == "nothing: it is damaged"
    monkeypatch.setenv("LENSSCAN_ENSEMBLES_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "100")
    list_models()
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    assert sum("(default)" in line for line in lines) == 1
    assert all(any(text in line for line in lines) for text in (row["auroc_own_test"] for row in rows) if text)
    assert any("good for" in line and "AUROC, own test" in line for line in lines)
    assert not any(" " in name for row in rows for name in row)


def test_an_ensemble_without_a_purpose_shows_its_description(tmp_path, monkeypatch):
    shutil.copytree(SHIPPED_DIR / "ou7-sim", tmp_path / "mine")
    card = json.loads((tmp_path / "mine" / "card.json").read_text())
    del card["purpose"]
    (tmp_path / "mine" / "card.json").write_text(json.dumps({**card, "name": "mine", "metrics": {}}))
    monkeypatch.setenv("LENSSCAN_ENSEMBLES_DIR", str(tmp_path))
    (mine,) = [row for row in listed_models() if row["name"] == "mine"]
    assert mine["purpose"] == "The seven networks of Wilde et al. 2022, as a laptop trains them: …"
    assert mine["auroc_own_test"] == "unknown"
    assert read_card(tmp_path / "mine").sha256 == read_card(SHIPPED_DIR / "ou7-sim").sha256


def test_every_nonlens_above_a_threshold_is_copied(lensscan, tmp_path):
    (tmp_path / "shards").mkdir()
    kinds = (("nonlens", 0.5), ("single", 0.5))
    content = encode_shard(simulate_shard(DatasetSpec(n=8, seed=4, kinds=kinds), 0))
    (tmp_path / "shards" / "shard-00000.parquet").write_bytes(content)
    copies = str(tmp_path / "copies")
    copied = lensscan("models", "false-positives", tmp_path / "shards", "--out", copies, "--above", "0", "--json")
    n_nonlenses = decode_shard(content).truth["kind"].to_pylist().count("nonlens")
    assert 0 < n_nonlenses < 8
    found = json.loads(copied.stdout)
    assert found == {"n_nonlenses": n_nonlenses, "above": 0.0, "n_copied": n_nonlenses, "folder": copies}


@pytest.mark.parametrize(("above", "n_copied"), [(None, 0), (0.0, 3)])
def test_false_positives_prints_the_threshold_and_a_written_folder(tmp_path, monkeypatch, capsys, above, n_copied):
    """The threshold of the ensemble is on its card; no star reaches it."""
    monkeypatch.chdir(tmp_path)
    Path("shards").mkdir()
    spec = DatasetSpec(n=3, seed=4, kinds=(("star", 1.0),), geometry="mer10")
    Path("shards", "shard-00000.parquet").write_bytes(encode_shard(simulate_shard(spec, 0)))
    false_positives("shards", out="copies", ensemble="mer3-cascade", above=above)
    printed = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    told = {name: text.strip() for name, text in printed.items()}
    threshold = read_card(SHIPPED_DIR / "mer3-cascade").candidate_threshold if above is None else above
    folder = {"folder": "copies"} if n_copied else {}
    assert told == {"non-lenses": "3", "p_lens at least": str(threshold), "copied": str(n_copied), **folder}
    assert Path("copies").exists() == bool(folder)
