"""Tests of `lensscan explain` on shards, tiles and manifests."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from flows.commands.explain import ExplainError, check_out, explain_to_file
from infra.errors import LensscanError
from infra.progress import no_progress
from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.package import load_package
from scanner.scan.chosen_objects import read_objects
from scanner.sources.shards import encode_shard, shard_table
from scanner.vocabulary.geometry import MER_10
from scanner.vocabulary.prior import prior_words
from tests.cutouts import write_cutout
from tests.scanner.cascades import candidate_stage, lens_regression, write_cascade
from tests.scanner.shifted import stamps_of
from tests.tiles import write_tile


def explain(images, out, objects=(), ensemble="mer3-sim", networks=("compact-sky",)):
    return explain_to_file(str(images), out, list(objects), ensemble, networks, no_progress)


@pytest.fixture
def shards(tmp_path):
    (tmp_path / "shards").mkdir()
    for first in (0, 5):
        rng = np.random.default_rng(first)
        stamps = {
            band: rng.normal(size=(5, grid.n_pixels, grid.n_pixels)).astype(np.float32) for band, grid in MER_10.grids.items()
        }
        content = encode_shard(shard_table(np.arange(5) + first, stamps, {}, MER_10))
        (tmp_path / "shards" / f"shard-{first:05d}.parquet").write_bytes(content)
    return tmp_path / "shards"


def test_objects_of_several_shards_keep_the_requested_order(shards, tmp_path):
    found = explain(shards, tmp_path / "why.png", ["7", "1", "6"])
    assert list(found["objects"]) == ["7", "1", "6"]
    assert (tmp_path / "why.png").read_bytes().startswith(b"\x89PNG")
    one = explain(shards, tmp_path / "one.pdf", ["1"])
    assert one["objects"]["1"]["p_lens"] == pytest.approx(found["objects"]["1"]["p_lens"], rel=1e-3)


def test_all_probabilities_assume_one_prior(shards, tmp_path):
    found = explain(shards, tmp_path / "why.png", ["7"], networks=None)
    card, object_ = read_card(SHIPPED_DIR / "mer3-sim"), found["objects"]["7"]
    assert found["prevalence"] == card.assumed_prevalence == 0.0005
    assert object_["prior"] == prior_words(object_["p_lens"], 0.0005)
    stamps = read_objects(str(shards), ["7"], MER_10, 1).stamps
    scores = load_package(SHIPPED_DIR / "mer3-sim").score(stamps)
    assert object_["p_lens"] == pytest.approx(scores.p_lens[0], rel=1e-3)
    for name, of_network in object_["networks"].items():
        assert of_network["p_lens"] == pytest.approx(scores.p_networks[name][0], rel=1e-3)


def test_objects_of_a_tile_are_explained(tmp_path):
    write_tile(tmp_path / "tiles", 3, 6, n_pixels=600)
    from scanner.sources.tiles import discover_tiles, read_tile_catalogue

    (tile,) = discover_tiles(str(tmp_path / "tiles"))
    ids = read_tile_catalogue(tile.catalogue).object_ids.astype(str).tolist()
    found = explain(tmp_path / "tiles", tmp_path / "why.png", ids[:2])
    assert set(found["objects"]) | set(found["rejected"]) == set(ids[:2])
    assert found["objects"]


def test_a_fits_file_is_explained_without_ids(tmp_path):
    found = explain(write_cutout(tmp_path / "lens.fits"), tmp_path / "why.png")
    assert list(found["objects"]) == ["lens"]
    assert (tmp_path / "why.png").read_bytes().startswith(b"\x89PNG")


def test_an_output_that_cannot_be_written_is_reported_first(shards, tmp_path):
    with pytest.raises(ExplainError, match=r"/proc/x\.png: cannot be written: "):
        explain(shards, Path("/proc/x.png"), ensemble="nosuch")
    with pytest.raises(ExplainError, match=f"there is no folder {tmp_path}/new$"):
        check_out(tmp_path / "new" / "x.png")


@pytest.fixture
def manifest(tmp_path):
    for band in MER_10.grids:
        image = np.random.default_rng(len(band)).normal(size=(120, 120)).astype(np.float32)
        fits.PrimaryHDU(image).writeto(tmp_path / f"{band}.fits")
    row = ",".join(f"{band}.fits" for band in MER_10.grids)
    bad = row.replace("J.fits", "no.fits")
    names = f"object_id,pixel_scale_arcsec,{','.join(MER_10.grids)}"
    (tmp_path / "m.csv").write_text(f"{names}\nfirst,0.1,{row}\nbad,0.1,{bad}\n")
    return tmp_path / "m.csv"


def test_the_command_explains_a_manifest_and_lists_rejected_objects(lensscan, manifest, tmp_path):
    command = ["explain", manifest, "--out", tmp_path / "why.png", "--ensemble", "mer3-sim", "--networks", "compact-sky"]
    done = lensscan(*command, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert list(found["objects"]) == ["first"]
    assert "missing_file" in found["rejected"]["bad"]
    command[3] = tmp_path / "text.png"
    said = lensscan(*command, COLUMNS="200")
    assert "compact-sky" in said.stdout
    assert "missing_file" in said.stdout


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"out": "why.txt"}, r"file must end in \.png or \.pdf"),
        ({"objects": ["77"]}, "has no object 77"),
        ({"objects": [str(i) for i in range(25)]}, "25 objects are named, more than the limit of 24"),
        ({"objects": []}, "name the objects"),
        ({"ensemble": "nosuch"}, "nosuch: no ensemble of that name"),
        ({"networks": ["x"]}, "has no network x"),
        ({"networks": []}, "at least one network of mer3-sim must be named"),
    ],
)
def test_mistakes_are_reported_and_no_file_is_written(shards, tmp_path, change, says):
    options = {"out": "why.png", "objects": ["1"]} | change
    options["out"] = tmp_path / options["out"]
    with pytest.raises(LensscanError, match=says):
        explain(shards, **options)
    assert not options["out"].exists()


def test_a_misregistered_object_is_a_note_of_its_own(tmp_path):
    geometry, rng = MER_10, np.random.default_rng(5)
    objects = [stamps_of(geometry, rng), stamps_of(geometry, rng, shift_arcsec=(0.8, 0.0), band="H")]
    stamps = {band: np.concatenate([part[band] for part in objects]) for band in geometry.grids}
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "shard-00000.parquet").write_bytes(encode_shard(shard_table(np.arange(2), stamps, {}, geometry)))
    notes = explain(tmp_path / "shards", tmp_path / "why.png", ["0", "1"])["notes"]
    assert list(notes) == ["1"]
    assert notes["1"].startswith("misregistered: H 0.8")


def test_pixels_that_were_filled_are_among_the_notes(manifest, tmp_path):
    with fits.open(tmp_path / "J.fits", mode="update") as hdus:
        hdus[0].data[30, 60] = np.nan
    assert explain(manifest, tmp_path / "why.png")["notes"] == {"first": "filled: J"}


def test_a_corrected_probability_is_among_the_notes(shards, tmp_path):
    lens = lens_regression(from_p_lens=1e-6)
    write_cascade(tmp_path / "mine", 1e-9, candidate_stage=candidate_stage(lens=lens), default_cut=1e-6)
    found = explain(shards, tmp_path / "why.png", ["1"], str(tmp_path / "mine"), None)
    expected = r"p_lens is corrected by K, which has no maps, from \S+ by the committee"
    assert re.fullmatch(expected, found["notes"]["1"])
