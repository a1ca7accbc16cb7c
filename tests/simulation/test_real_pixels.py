"""Simulated MER pixels against real ones, where those are at hand."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from scanner.pixels.bands import EUCLID
from scanner.pixels.geometry import MER
from simulation.observation import add_noise

REAL = Path(__file__).parents[2].parent / "shared" / "real"
FILES = ("102020064_NEG635872258496841682.fits", "102021016_NEG629685198482852633.fits")
EXTENSIONS = {"VIS": "VIS", "Y": "NIR_Y", "J": "NIR_J", "H": "NIR_H"}

pytestmark = pytest.mark.skipif(not all((REAL / name).exists() for name in FILES), reason="real Euclid cutouts are not here")


def real(band, what):
    """The band's image or PSF of every file."""
    for name in FILES:
        with fits.open(REAL / name, memmap=False) as hdus:
            names = [hdu.name for hdu in hdus]
            wanted = next(n for n in names if n.startswith(EXTENSIONS[band]) and n.endswith(what))
            yield hdus[wanted].header, hdus[wanted].data.astype(float)


def sky_scatter(image):
    """Below the median, where objects are few; masked pixels are exactly 0."""
    seen = image[(image != 0) & np.isfinite(image)]
    low, middle = np.percentile(seen, [10, 40])
    return (middle - low) / (1.2816 - 0.2533)


@pytest.mark.parametrize("band", list(EUCLID))
def test_sky_noise_is_as_deep_as_the_real_one(band):
    blank = {band: np.zeros((300, 300), np.float32)}
    simulated = sky_scatter(add_noise(blank, MER, np.random.default_rng(1))[band])
    scatters = [sky_scatter(image) for header, image in real(band, ("FLUX", "BGSUB"))]
    assert simulated == pytest.approx(np.median(scatters), rel=0.35)


@pytest.mark.parametrize("band", list(EUCLID))
def test_zero_points_are_those_of_the_files(band):
    for header, _ in real(band, ("FLUX", "BGSUB")):
        assert header["MAGZERO"] == pytest.approx(EUCLID[band].zero_point_ab_mag, abs=0.2)


@pytest.mark.parametrize("band", list(EUCLID))
def test_the_psf_is_as_wide_as_the_real_one(band):
    widths = [2 * np.sqrt(np.sum(psf > psf.max() / 2) * 0.01 / np.pi) for _, psf in real(band, "PSF")]
    # Counting whole pixels of 0.1 arcsec is coarse for VIS.
    assert EUCLID[band].psf_fwhm_arcsec == pytest.approx(np.median(widths), rel=0.4 if band == "VIS" else 0.25)
