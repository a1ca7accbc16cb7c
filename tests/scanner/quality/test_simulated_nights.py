"""The gate on simulated Euclid tiles: populations, PSFs and noise of a survey, in place of one profile for all objects."""

import shutil

import numpy as np
import pytest
from astropy.io import fits
from scipy.ndimage import gaussian_filter

from scanner.quality.assess import assess
from scanner.quality.limits import QualityLimits
from scanner.quality.promote import promote
from simulation.products.survey_tile import TileSpec, simulate_tile
from tests.scanner.quality.scanned import scanned

N_NIGHTS = 4


@pytest.fixture(scope="module")
def nights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated")
    for night in range(N_NIGHTS):
        for number in range(2):
            spec = TileSpec(
                tile_id=f"10200{night}00{number}", n_galaxies=200, n_single=4, side_pixels=1500, seed=10 * night + number
            )
            simulate_tile(spec, str(folder / f"2026-02-0{night + 1}"))
    return folder


def verdict(root, folder, night):
    plan = scanned(root, folder, night)
    return plan, assess(plan, root, QualityLimits())


def changed(folder, band, change):
    """Change the pixels or the header of a band in all tiles of a night."""
    for path in folder.rglob(f"*MOSAIC-{band}*"):
        with fits.open(path) as hdus:
            image = next(hdu for hdu in hdus if hdu.data is not None)
            pixels, header = image.data.astype(float), image.header
        pixels = change(pixels, header)
        fits.PrimaryHDU(pixels.astype("f4"), header).writeto(path, overwrite=True, checksum=True)


def blurred(pixels, _header):
    noise = np.std(pixels[pixels < np.median(pixels)])
    return gaussian_filter(pixels, 1.5) + np.random.default_rng(1).normal(0, noise, pixels.shape)


def dimmed(pixels, header):
    header["MAGZERO"] += 0.5
    return pixels


@pytest.mark.slow
def test_simulated_nights_pass_and_faults_do_not(nights, tmp_path):
    root = str(tmp_path / "catalogue")
    first, found = verdict(root, nights / "2026-02-01", "2026-02-01")
    assert found.is_passed, found.why
    promote(first, root, "ann")
    for night in range(2, N_NIGHTS + 1):
        _, found = verdict(root, nights / f"2026-02-0{night}", f"2026-02-0{night}")
        assert found.is_passed, found.why
        values = {(check.name, check.band): check.value for check in found.checks if check.value is not None}
        assert max(abs(np.log(value)) for (name, _), value in values.items() if name == "psf_width") < np.log(1.05)
        assert max(abs(value) for (name, _), value in values.items() if name == "zero_point") < 0.06
    for band, fault, check in (("VIS", blurred, ("psf_width", "VIS")), ("NIR-J", dimmed, ("zero_point", "J"))):
        bad = shutil.copytree(nights / "2026-02-02", tmp_path / band)
        changed(bad, band, fault)
        _, found = verdict(root, bad, "2026-02-06")
        assert {(one.name, one.band) for one in found.checks if not one.is_good} == {check}
