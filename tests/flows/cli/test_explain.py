"""Tests of the options and the tables of `lensscan explain`."""

import json

import numpy as np
import pytest

import flows.commands.explain
import flows.commands.portray
from flows.cli.explain import explain
from flows.commands.explain import ExplainError
from scanner.scan.chosen_objects import ObjectsError
from scanner.sources.shards import encode_shard, shard_table
from scanner.vocabulary.geometry import MER_10
from scanner.vocabulary.prior import prior_words


def test_negative_ids_are_not_read_as_options(lensscan, tmp_path):
    """Euclid's object ids are negative in the south."""
    ids, rng = np.array([-1000000, -1000003]), np.random.default_rng(1)
    stamps = {band: rng.normal(size=(2, g.n_pixels, g.n_pixels)).astype(np.float32) for band, g in MER_10.grids.items()}
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "shard-00000.parquet").write_bytes(encode_shard(shard_table(ids, stamps, {}, MER_10)))
    command = ["explain", tmp_path / "shards", "--objects", "-1000000,-1000003", "--out", tmp_path / "why.png"]
    done = lensscan(*command, "--ensemble", "mer3-sim", "--networks", "compact-sky", "--json")
    assert done.returncode == 0, done.stderr
    assert list(json.loads(done.stdout)["objects"]) == ["-1000000", "-1000003"]


def test_a_narrow_table_shows_all_digits_and_none(monkeypatch, tmp_path, capsys):
    numbers = {"p_lens": 0.9876, "strongest_occlusion_arcsec": 1.2345, "strongest_guided_arcsec": None}
    name = "EUCL-J174752.17+660743.0-very-long-2684100"
    networks = {"equivariant-centre": numbers, "x": numbers | {"strongest_guided_arcsec": 2.3456}}
    found = {
        "ensemble": "mer3-sim",
        "prevalence": 0.0005,
        "figure": "why.png",
        "objects": {name: {"p_lens": 0.1234, "prior": prior_words(0.1234, 0.0005), "networks": networks}},
        "rejected": {},
    }
    monkeypatch.setattr(flows.commands.explain, "explain_to_file", lambda *_: found)
    monkeypatch.setenv("COLUMNS", "80")
    explain("m.csv", out=tmp_path / "why.png")
    printed = capsys.readouterr().out
    for number in ("0.1234", "0.9876", "1.2345", "2.3456", "none"):
        assert number in printed
    assert "p_lens if one object in 2000 is a lens" in " ".join(printed.split())
    assert f"{name}  250 times the prior of 1 in 2000" in printed
    assert "\u2026" not in printed
    assert max(map(len, printed.splitlines())) <= 80


def test_an_uncalibrated_ensemble_has_no_prior(monkeypatch, tmp_path, capsys):
    objects = {"7": {"p_lens": 0.25, "prior": "not calibrated", "networks": {}}}
    found = {"ensemble": "mean", "prevalence": None, "figure": "why.png", "objects": objects, "rejected": {}}
    monkeypatch.setattr(flows.commands.explain, "explain_to_file", lambda *_: found)
    explain("m.csv", out=tmp_path / "why.png")
    printed = " ".join(capsys.readouterr().out.split())
    assert "p_lens is not calibrated; strongest evidence" in printed
    assert "prior" not in printed


def test_the_table_shows_probabilities_and_rejected_objects(monkeypatch, tmp_path, capsys):
    found = {
        "figure": "p.png",
        "networks": {"OU-66": {"class_generated": {"nonlens": 1.0, "lens": 0.75}}},
        "rejected": {"b": "blank: VIS"},
    }
    monkeypatch.setattr(flows.commands.portray, "portray_to_file", lambda *_: found)
    explain(portrait=True, out=tmp_path / "p.png")
    printed = capsys.readouterr().out
    assert "0.7500" in printed
    assert "blank: VIS" in printed


def test_a_portrait_reads_tiles_of_the_survey(monkeypatch, tmp_path):
    given = []

    def read(images, wanted, geometry, most, survey, bands):
        given.append((survey.name, bands))
        raise ExplainError("enough is seen")

    monkeypatch.setattr(flows.commands.portray, "read_objects", read)
    with pytest.raises(ExplainError, match="enough is seen"):
        explain("tiles", out=tmp_path / "p.png", portrait=True, objects="1", survey="hsc-pdr3", bands="VIS,H")
    assert given == [("hsc-pdr3", "VIS,H")]


@pytest.mark.parametrize("objects", ["", " ,"])
def test_an_empty_list_of_objects_is_refused(tmp_path, objects):
    with pytest.raises(ObjectsError, match="no object is named in"):
        explain("m.csv", out=tmp_path / "why.png", objects=objects)


def test_explaining_needs_images_and_has_no_steps(tmp_path):
    with pytest.raises(ExplainError, match="name images: FITS files, a manifest, or a folder of tiles"):
        explain(out=tmp_path / "why.png")
    with pytest.raises(ExplainError, match="--steps needs --portrait"):
        explain("m.csv", out=tmp_path / "why.png", steps=3)
