"""Tests of known lenses: read from a manifest, and scored in every orientation."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits

from scanner.vocabulary.geometry import CHALLENGE
from tests.shared import REAL
from training.errors import TrainingError
from training.reproduction.known import KnownLenses, read_known, score_known

HEAD = "object_id,VIS,Y,J,H,pixel_scale_arcsec\n"


@pytest.fixture
def folder(tmp_path):
    """A folder with a manifest of one lens, in one image that stands in for all bands."""
    pixels = np.random.default_rng(0).normal(0, 1, (281, 281)).astype(np.float32)
    fits.PrimaryHDU(pixels).writeto(tmp_path / "lens.fits")
    (tmp_path / "manifest.csv").write_text(HEAD + "J0946+1006,lens.fits,lens.fits,lens.fits,lens.fits,0.05\n")
    return tmp_path


@pytest.mark.parametrize("name", ["", "manifest.csv"])
def test_a_folder_or_its_manifest_names_the_lenses(folder, name):
    lenses = read_known(folder / name, CHALLENGE)
    assert lenses.names == lenses.of_one_image == ("J0946+1006",)
    assert {band: images.shape for band, images in lenses.stamps.items()} == {
        band: (1, grid.n_pixels, grid.n_pixels) for band, grid in CHALLENGE.grids.items()
    }


def test_a_lens_with_other_images_has_colours(folder):
    shutil.copyfile(folder / "lens.fits", folder / "other.fits")
    with (folder / "manifest.csv").open("a") as manifest:
        manifest.write("colourful,lens.fits,other.fits,other.fits,other.fits,0.05\n")
    lenses = read_known(folder, CHALLENGE)
    assert lenses.names == ("J0946+1006", "colourful")
    assert lenses.of_one_image == ("J0946+1006",)


def test_a_folder_without_a_manifest_is_refused(tmp_path):
    with pytest.raises(TrainingError, match=r"needs a manifest\.csv with object_id, VIS, Y, J, H"):
        read_known(tmp_path, CHALLENGE)


def test_a_lens_that_cannot_be_used_is_named(folder):
    with (folder / "manifest.csv").open("a") as manifest:
        manifest.write("gone,gone.fits,gone.fits,gone.fits,gone.fits,0.05\n")
    with pytest.raises(TrainingError, match="every lens must be usable: gone: missing_file"):
        read_known(folder, CHALLENGE)


def test_the_interval_spans_the_eight_orientations():
    corners = np.arange(1.0, 5.0).reshape(2, 2) / 10
    seen = []

    def first_corner(stamps):
        seen.append(stamps["VIS"][0].tobytes())
        return SimpleNamespace(p_networks={"corner": stamps["VIS"][:, 0, 0]})

    found = score_known(KnownLenses(("a",), {"VIS": corners[None]}), first_corner)["a"]["corner"]
    assert (found.value, found.low, found.high) == pytest.approx((0.1, 0.1, 0.4))
    assert len(seen) == len(set(seen)) == 8


@pytest.mark.needs_shared("real/jackpot/data.fits")
def test_the_jackpot_can_be_read(tmp_path):
    image = REAL / "jackpot" / "data.fits"
    (tmp_path / "manifest.csv").write_text(HEAD + f"SDSS J0946+1006,{image},{image},{image},{image},0.05\n")
    assert read_known(tmp_path, CHALLENGE).names == ("SDSS J0946+1006",)
