"""Tests of the commands from images to a data set with textures."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.io import fits

from flows.commands.textures import cut_textures
from infra.progress import no_progress
from scanner.sources.shards import decode_shard, encode_shard
from simulation.products.dataset import dataset_spec, simulate_shard
from simulation.textures.library import TextureError
from tests.cutouts import sky_header
from tests.simulation import textures_made as made


@pytest.fixture(scope="module")
def field(tmp_path_factory):
    path = tmp_path_factory.mktemp("field") / "field.fits"
    header = sky_header(n_pixels=made.FIELD_PIXELS, scale_arcsec=0.2)
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(made.sky_field(), header, name="SKY")]).writeto(path)
    return path


def test_textures_of_images_are_written_once_with_their_origin(lensscan, field, tmp_path):
    out = tmp_path / "t.parquet"
    words = [f"{field}#SKY", field, "--source", "a made field", "--licence", "none", "--out", out]
    done = lensscan("textures", *words, "--json")
    assert done.returncode == 0, done.stderr
    result = {"textures": 4, "images": 2, "file": str(out), "sheet": str(tmp_path / "t.png")}
    assert json.loads(done.stdout) == result
    table = pq.read_table(out)
    assert set(table["source"].to_pylist()) == {"a made field"}
    assert set(table["licence"].to_pylist()) == {"none"}
    assert (tmp_path / "t.png").read_bytes().startswith(b"\x89PNG")
    again = lensscan("textures", *words)
    assert again.returncode == 0, again.stderr
    assert "textures  4" in again.stdout
    other = lensscan("textures", field, "--out", out)
    assert (other.returncode, other.stdout) == (2, "")
    assert f"{out} exists with other content" in other.stderr
    assert pq.read_table(out).equals(table)


def test_a_sheet_of_other_textures_is_refused(field, tmp_path):
    out, sheet = tmp_path / "t.parquet", tmp_path / "t.png"
    cut_textures([f"{field}#SKY"], str(out), no_progress)
    content = out.read_bytes()
    out.unlink()
    with pytest.raises(TextureError, match=r"t\.png shows textures of another file; remove it"):
        cut_textures([f"{field}#SKY"], str(out), no_progress)
    assert not out.exists()
    out.write_bytes(content)
    sheet.write_bytes(b"another")
    with pytest.raises(TextureError, match=r"t\.png exists with other content; remove it"):
        cut_textures([f"{field}#SKY"], str(out), no_progress)
    assert sheet.read_bytes() == b"another"


def test_scale_and_seeing_reach_the_file(lensscan, field, tmp_path):
    out = tmp_path / "t.parquet"
    done = lensscan("textures", field, "--pixel-scale", "0.1", "--seeing", "0.2", "--out", out)
    assert done.returncode == 0, done.stderr
    table = pq.read_table(out)
    assert set(table["pixel_scale_arcsec"].to_pylist()) == {0.1}
    np.testing.assert_allclose(table["point_radius_arcsec"].to_pylist(), 0.68 * 0.2)


def test_images_without_galaxies_end_in_one_line(lensscan, tmp_path):
    fits.PrimaryHDU(np.random.default_rng(1).normal(size=(64, 64)), sky_header(n_pixels=64)).writeto(tmp_path / "sky.fits")
    done = lensscan("textures", tmp_path / "sky.fits", "--out", tmp_path / "t.parquet")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert "1 images hold 0 galaxies" in done.stderr
    assert not (tmp_path / "t.parquet").exists()


def test_simulate_draws_pictures_and_keeps_to_their_file(lensscan, tmp_path):
    spec = dataset_spec(6, 1, "broad", "spiral", "mer10", textures_uri=made.write_textures(tmp_path / "t.parquet"))
    made.write_textures(tmp_path / "other.parquet", n=13)
    options = ["--preset", "broad", "--kinds", "spiral", "--geometry", "mer10", "--n", 6, "--out", "data"]
    done = lensscan("simulate", *options, "--textures", "t.parquet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    table = decode_shard((tmp_path / "data" / "shard-00000.parquet").read_bytes())
    expected = decode_shard(encode_shard(simulate_shard(spec, 0)))
    np.testing.assert_array_equal(table.stamps["VIS"], expected.stamps["VIS"])
    refused = lensscan("simulate", *options, "--textures", "other.parquet", cwd=tmp_path)
    assert refused.returncode == 2
    assert "belongs to another data set" in refused.stderr
