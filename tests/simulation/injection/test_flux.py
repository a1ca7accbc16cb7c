"""Tests of files with a MAGZERO other than the survey's, through the function that `lensscan inject` calls.

If a file's zero point is 2.5 mag fainter, one ADU/s is a tenth of the light, so the same arcs have ten times the value.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from flows.commands.inject import inject
from scanner.sources.tiles import discover_tiles
from scanner.vocabulary.bands import EUCLID
from simulation.products.survey_tile import TileSpec, simulate_tile
from tests.simulation.injecting import assert_same_truth, pairs, tile_truth, with_mosaic, write_manifest

TILE_ID = "000000011"
EPSILON = np.finfo(np.float32).eps
NOMINAL = dict.fromkeys(EUCLID, 0.0)
SHIFTS = [{"VIS": 2.5, "Y": -2.5, "J": 2.5, "H": -2.5}, {"VIS": -2.5, "Y": 2.5, "J": -2.5, "H": 2.5}]
"""Shifts of the zero points in mag, both ways in every band."""


def quiet(*_):
    pass


def rescaled(shift_mag):
    """Return a change that gives a mosaic another zero point with the same light."""

    def change(hdus):
        hdus[0].data *= np.float32(10 ** (0.4 * shift_mag))
        hdus[0].header["MAGZERO"] += shift_mag
        return hdus

    return change


def assert_scaled(written, host, plain_written, plain_host, shift_mag):
    """Check that the added light is that at the survey's zero point times the ratio of the scales, up to float32."""
    scale = 10 ** (0.4 * shift_mag)
    added, expected = written.astype(float) - host, scale * (plain_written.astype(float) - plain_host)
    rounding = 4 * EPSILON * (np.abs(written) + scale * np.abs(plain_written))
    assert np.all(np.abs(added - expected) <= rounding + 1e-4 * np.abs(expected))
    assert added.sum() > 1000 * rounding.sum() / rounding.size
    assert np.count_nonzero(np.abs(added) > rounding) > 300


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    """Write a tile without and with arcs, and return both folders."""
    root = tmp_path_factory.mktemp("flux")
    simulate_tile(TileSpec(tile_id=TILE_ID, n_galaxies=10, side_pixels=450, seed=3), str(root / "in"))
    assert inject(str(root / "in"), str(root / "out"), 2, 1, None, quiet)["injected"] == 2
    return root / "in", root / "out"


def test_arcs_of_tiles_are_on_the_scale_of_each_mosaic(tiles, tmp_path):
    plain_in, plain_out = (discover_tiles(str(folder))[0] for folder in tiles)
    for number, shifts in enumerate(SHIFTS):
        folder, tile = tmp_path / f"in{number}", plain_in
        for band, shift in shifts.items():
            tile = with_mosaic(tile, folder / TILE_ID, band, rescaled(shift))
        shutil.copy(plain_in.catalogue, folder / TILE_ID)
        inject(str(folder), str(tmp_path / f"out{number}"), 2, 1, None, quiet)
        out = discover_tiles(str(tmp_path / f"out{number}"))[0]
        for band, shift in shifts.items():
            found = fits.getdata(out.mosaics[band]), fits.getdata(tile.mosaics[band])
            assert_scaled(*found, fits.getdata(plain_out.mosaics[band]), fits.getdata(plain_in.mosaics[band]), shift)
            assert fits.getheader(out.mosaics[band])["MAGZERO"] == EUCLID[band].zero_point_ab_mag + shift
        for truth, plain in zip(tile_truth(Path(out.catalogue).parent), tile_truth(tiles[1] / TILE_ID), strict=True):
            assert_same_truth(truth, plain)


NANOJANSKY = """
name = "in-njy"
bands = { VIS = "v", Y = "y", J = "j", H = "h" }
[mosaics]
file = "{tile}-{band}.fits"
hdu = 1
unit = "nJy"
[catalogue]
file = "{tile}-objects.fits"
id = "OBJECT_ID"
ra = "RIGHT_ASCENSION"
dec = "DECLINATION"
"""


def test_arcs_follow_the_unit_of_another_survey(tiles, tmp_path):
    """One nJy has the AB magnitude 31.4; the tile number is the same, so the arcs are the same."""
    plain_in, plain_out = (discover_tiles(str(folder))[0] for folder in tiles)
    (tmp_path / "nano.toml").write_text(NANOJANSKY)
    (tmp_path / "in").mkdir()
    shutil.copy(plain_in.catalogue, tmp_path / "in" / f"{TILE_ID}-objects.fits")
    shifts = {band: 31.4 - EUCLID[band].zero_point_ab_mag for band in EUCLID}
    for band, shift in shifts.items():
        pixels, header = fits.getdata(plain_in.mosaics[band], header=True)
        for keyword in ("MAGZERO", "CHECKSUM", "DATASUM"):
            del header[keyword]
        scaled = fits.ImageHDU(pixels * np.float32(10 ** (0.4 * shift)), header)
        fits.HDUList([fits.PrimaryHDU(np.zeros((9, 9))), scaled]).writeto(tmp_path / "in" / f"{TILE_ID}-{band.lower()[0]}.fits")
    done = inject(str(tmp_path / "in"), str(tmp_path / "out"), 2, 1, None, quiet, str(tmp_path / "nano.toml"))
    assert done["injected"] == 2
    for band, shift in shifts.items():
        name = f"{TILE_ID}-{band.lower()[0]}.fits"
        found = (fits.getdata(folder / name, 1) for folder in (tmp_path / "out" / TILE_ID, tmp_path / "in"))
        assert_scaled(*found, fits.getdata(plain_out.mosaics[band]), fits.getdata(plain_in.mosaics[band]), shift)
    assert inject(str(tmp_path / "in"), str(tmp_path / "out"), 2, 1, None, quiet, str(tmp_path / "nano.toml")) == done


def test_arcs_of_cutouts_are_on_the_scale_of_each_file(tiles, tmp_path):
    tile, written = discover_tiles(str(tiles[0]))[0], []
    for number, shifts in enumerate([NOMINAL, *SHIFTS]):
        scales = {band: np.float32(10 ** (0.4 * shift)) for band, shift in shifts.items()}
        folder = tmp_path / str(number)
        folder.mkdir()
        write_manifest(
            tile, folder, 4, lambda _, band, image, s=scales: image * s[band], mag_shifts=shifts, all_zero_points=True
        )
        inject(str(folder / "manifest.csv"), str(folder / "out"), 1, 1, None, quiet)
        written.append(list(pairs(folder / "out" / "shard-00000.parquet")))
    plain, *others = written
    assert len(plain) > 1
    for shifts, found in zip(SHIFTS, others, strict=True):
        for (host, lens, host_truth, lens_truth), (of_host, of_lens, of_host_truth, of_lens_truth) in zip(
            found, plain, strict=True
        ):
            assert_same_truth(host_truth, of_host_truth)
            assert_same_truth(lens_truth, of_lens_truth)
            for band, shift in shifts.items():
                np.testing.assert_allclose(host[band], 10 ** (0.4 * shift) * of_host[band], rtol=1e-6)
                assert_scaled(lens[band], host[band], of_lens[band], of_host[band], shift)
