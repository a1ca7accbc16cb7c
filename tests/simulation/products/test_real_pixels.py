"""Tests of simulated MER pixels against the real cutouts that the noise model was fitted to; there are no others here."""

from functools import cache

import numpy as np
import pytest
from astropy.io import fits
from scipy.ndimage import binary_dilation, gaussian_filter

from scanner.vocabulary.bands import EUCLID
from scanner.vocabulary.geometry import MER
from simulation.optics.observation import Conditions, add_noise
from tests.shared import REAL

FILES = (
    "102020064_NEG635872258496841682.fits",
    "102021016_NEG629685198482852633.fits",
    "102022474_NEG590266584471556814.fits",
)
EXTENSIONS = {"VIS": "VIS", "Y": "NIR_Y", "J": "NIR_J", "H": "NIR_H"}

pytestmark = pytest.mark.needs_shared(*(f"real/{name}" for name in FILES))


def real(band, what):
    """Yield header and data of the band's image or PSF in every file."""
    for name in FILES:
        with fits.open(REAL / name, memmap=False) as hdus:
            names = [hdu.name for hdu in hdus]
            wanted = next(n for n in names if n.startswith(EXTENSIONS[band]) and n.endswith(what))
            yield hdus[wanted].header, hdus[wanted].data.astype(float)


def sky_scatter(image):
    """Return the scatter of the sky from values below the median, where objects are few; masked pixels are exactly 0."""
    seen = image[(image != 0) & np.isfinite(image)]
    low, middle = np.percentile(seen, [10, 40])
    return (middle - low) / (1.2816 - 0.2533)


def sky_pixels(image):
    """Return the pixels without a visible object, with a margin: the smoothed image stays near the sky level."""
    seen = np.where(image != 0, image, np.nan)
    level = np.nanpercentile(seen, 40) + 0.2533 * sky_scatter(image)
    smooth = gaussian_filter(np.where(image != 0, image - level, 0), 2.0)
    low, middle = np.percentile(smooth[image != 0], [10, 40])
    scatter = (middle - low) / (1.2816 - 0.2533)
    objects = smooth > middle + (0.2533 + 2.25) * scatter
    return ~(binary_dilation(objects, iterations=6) | binary_dilation(image == 0, iterations=2))


def autocorrelation(image, sky, dy, dx):
    values = np.where(sky, image - image[sky].mean(), 0)
    n_y, n_x = image.shape
    both = sky[: n_y - dy, : n_x - dx] & sky[dy:, dx:]
    return (values[: n_y - dy, : n_x - dx] * values[dy:, dx:])[both].mean() / (values[sky] ** 2).mean()


@cache
def simulated_skies(band):
    """Simulate several skies, since any four dithers leave a little of their grid."""
    blank, rng = {band: np.zeros((300, 300), np.float32)}, np.random.default_rng(1)
    return [add_noise(blank, MER, Conditions.nominal(0.0), rng)[band] for _ in range(8)]


@pytest.mark.parametrize("band", list(EUCLID))
def test_sky_noise_has_the_depth_of_real_fields(band):
    scatters = [image[sky_pixels(image)].std() for _, image in real(band, ("FLUX", "BGSUB"))]
    assert np.std(simulated_skies(band)) == pytest.approx(np.median(scatters), rel=0.06)


@pytest.mark.parametrize("band", list(EUCLID))
@pytest.mark.parametrize("lags", [(0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (0, 3)])
def test_sky_noise_has_the_correlation_of_real_fields(band, lags):
    whole = np.ones((300, 300), bool)
    simulated = np.mean([autocorrelation(sky, whole, *lags) for sky in simulated_skies(band)])
    found = np.median([autocorrelation(image, sky_pixels(image), *lags) for _, image in real(band, ("FLUX", "BGSUB"))])
    # NISP's noise reaches a little farther than in these fields.
    assert simulated == pytest.approx(found, abs=0.02 if band == "VIS" else min(0.055, max(0.2 * found, 0.025)))


@pytest.mark.parametrize("band", list(EUCLID))
def test_zero_points_are_those_of_the_files(band):
    for header, _ in real(band, ("FLUX", "BGSUB")):
        assert header["MAGZERO"] == pytest.approx(EUCLID[band].zero_point_ab_mag, abs=0.2)


@pytest.mark.parametrize("band", list(EUCLID))
def test_the_psf_is_as_wide_as_in_these_files(band):
    widths = [2 * np.sqrt(np.sum(psf > psf.max() / 2) * 0.01 / np.pi) for _, psf in real(band, "PSF")]
    # Counting whole pixels of 0.1 arcsec is coarse for VIS.
    assert EUCLID[band].psf_fwhm_arcsec == pytest.approx(np.median(widths), rel=0.4 if band == "VIS" else 0.25)
