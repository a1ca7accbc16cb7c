import numpy as np
import pytest
from scipy.ndimage import rotate, uniform_filter

from scanner.pixels.bands import EUCLID
from scanner.pixels.geometry import CHALLENGE, MER
from simulation.observation import Optics, add_noise, bin_pixels, detector_noise, psf_kernel

BANDS = list(EUCLID)


def autocorrelation(image, dy, dx):
    a = image[: image.shape[0] - dy, : image.shape[1] - dx]
    b = image[dy:, dx:]
    return np.mean(a * b) / np.mean(image**2)


def blank(geometry, n=400, level=0.0):
    return {band: np.full((n, n), level, np.float32) for band in geometry.grids}


@pytest.mark.parametrize(
    ("name", "pixel_arcsec"), [("VIS", 0.1), *((band, pixel) for band in ("Y", "J", "H") for pixel in (0.1, 0.3))]
)
def test_psf_with_its_pixel_has_the_measured_width(name, pixel_arcsec):
    scale = 0.01
    kernel = psf_kernel(EUCLID[name], 0.0, scale, pixel_arcsec)
    assert kernel.sum() == pytest.approx(1.0, abs=1e-5)
    seen = uniform_filter(kernel, round(pixel_arcsec / scale))
    # The circle with the area above half of the peak.
    fwhm = 2 * np.sqrt(np.sum(seen > seen.max() / 2) * scale**2 / np.pi)
    assert fwhm == pytest.approx(EUCLID[name].psf_fwhm_arcsec, rel=0.07)


def test_vis_psf_is_threefold_and_turns_with_the_detector():
    kernel = psf_kernel(EUCLID["VIS"], 20.0, 0.05, 0.1)
    peak = kernel.max()
    # Counterclockwise, with y up.
    for angle, turned in ((60, psf_kernel(EUCLID["VIS"], 80.0, 0.05, 0.1)), (120, psf_kernel(EUCLID["VIS"], 140.0, 0.05, 0.1))):
        np.testing.assert_allclose(rotate(kernel, -angle, reshape=False, order=3), turned, atol=0.01 * peak)
    np.testing.assert_allclose(psf_kernel(EUCLID["VIS"], 140.0, 0.05, 0.1), kernel, atol=1e-4 * peak)
    assert np.abs(psf_kernel(EUCLID["VIS"], 80.0, 0.05, 0.1) - kernel).max() > 0.02 * peak


@pytest.mark.parametrize("geometry", [CHALLENGE, MER], ids=lambda g: g.name)
@pytest.mark.parametrize("name", BANDS)
def test_observing_keeps_flux_and_position(geometry, name):
    fine = np.zeros((400, 400), np.float32)
    fine[230:232, 150:152] = 2.5
    image = Optics(geometry, 30.0).observe(name, fine)
    grid = geometry.grids[name]
    assert image.shape == (grid.n_pixels, grid.n_pixels)
    assert image.sum() == pytest.approx(10.0, rel=1e-3)
    axis = (np.arange(grid.n_pixels) - (grid.n_pixels - 1) / 2) * grid.pixel_scale_arcsec
    x, y = (image.sum(axis=0) * axis).sum() / 10, (image.sum(axis=1) * axis).sum() / 10
    assert (x, y) == (pytest.approx((150.5 - 199.5) * 0.05, abs=0.01), pytest.approx((230.5 - 199.5) * 0.05, abs=0.01))


def test_convolution_does_not_wrap_around():
    fine = np.zeros((200, 200), np.float32)
    fine[0:2, 0:2] = 100.0
    image = Optics(CHALLENGE, 0.0).observe("VIS", fine)
    assert np.abs(image[-20:, :]).max() < 1e-4


@pytest.mark.parametrize("name", BANDS)
@pytest.mark.parametrize("level_in_sky", [0.0, 3.0])
def test_noise_is_that_of_counted_electrons(name, level_in_sky):
    band = EUCLID[name]
    level = level_in_sky * band.sky_electrons_per_pixel / band.electrons_per_adu_per_s
    noise = detector_noise(np.full((300, 300), level, np.float32), band, np.random.default_rng(1))
    electrons2 = band.sky_electrons_per_pixel * (1 + level_in_sky) + band.n_exposures * band.read_noise_electrons**2
    sigma = np.sqrt(electrons2) / band.electrons_per_adu_per_s
    assert noise.std() == pytest.approx(sigma, rel=0.01)
    assert noise.mean() == pytest.approx(0, abs=4 * sigma / 300)


def test_challenge_noise_is_white():
    noisy = add_noise(blank(CHALLENGE), CHALLENGE, np.random.default_rng(1))
    for band in BANDS:
        assert autocorrelation(noisy[band], 0, 1) == pytest.approx(0, abs=0.01)


def test_mer_noise_is_that_measured_in_mosaics():
    """Scatter per 0.1 arcsec pixel and correlation between neighbours, as found in blank MER fields."""
    noisy = add_noise(blank(MER), MER, np.random.default_rng(1))
    assert 0.0022 < noisy["VIS"].std() < 0.0031
    assert autocorrelation(noisy["VIS"], 0, 1) == pytest.approx(0.21, abs=0.02)
    assert autocorrelation(noisy["VIS"], 1, 1) == pytest.approx(0.06, abs=0.03)
    for band in ("Y", "J", "H"):
        assert 0.39 < noisy[band].std() < 0.73
        for lag, expected in ((1, 0.80), (2, 0.48), (3, 0.23)):
            assert autocorrelation(noisy[band], 0, lag) == pytest.approx(expected, abs=0.1)
            assert autocorrelation(noisy[band], lag, 0) == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize("n", [200, 201, 202])
def test_resampled_noise_has_no_edge(n):
    noise = np.stack([add_noise({"H": blank(MER, n)["H"]}, MER, np.random.default_rng(i))["H"] for i in range(60)])
    middle = noise[:, 40:-40, 40:-40].std()
    for edge in (noise[:, :3], noise[:, -3:], noise[:, :, :3], noise[:, :, -3:]):
        assert edge.std() == pytest.approx(middle, rel=0.12)


def test_binning_sums_blocks():
    image = np.arange(16, dtype=np.float32).reshape(4, 4)
    np.testing.assert_array_equal(bin_pixels(image, 2), [[10, 18], [42, 50]])
