"""Widths against the closed form of Gaussians, and against their blur."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from scanner.quality.widths import FWHM_PER_SIGMA, fwhm_pixels


def gaussian(sigma, dy=0.0, dx=0.0, n=40):
    y, x = np.indices((n, n)) - (n - 1) / 2
    return np.exp(-((y - dy) ** 2 + (x - dx) ** 2) / (2 * sigma**2))


@pytest.mark.parametrize("sigma", [1.0, 1.7, 3.0, 4.5])
def test_a_gaussian_has_its_own_width(sigma):
    images = np.stack([gaussian(sigma), gaussian(sigma, 0.4, -0.3), 100 * gaussian(sigma, 1.2)])
    assert fwhm_pixels(images) / (FWHM_PER_SIGMA * sigma) == pytest.approx(np.ones(3), rel=3e-3)


def test_a_blur_adds_in_squares():
    blurred = gaussian_filter(gaussian(1.5), 2.0)
    assert fwhm_pixels(blurred[None])[0] == pytest.approx(FWHM_PER_SIGMA * 2.5, rel=5e-3)


def test_noise_and_a_neighbour_move_the_width_little(rng):
    images = gaussian(1.5) + rng.normal(0, 0.01, (200, 40, 40))
    assert np.median(fwhm_pixels(images)) == pytest.approx(FWHM_PER_SIGMA * 1.5, rel=0.01)
    beside = gaussian(1.5) + gaussian(1.5, 0, 12)
    assert fwhm_pixels(beside[None])[0] == pytest.approx(FWHM_PER_SIGMA * 1.5, rel=0.01)


def test_no_source_has_no_width(rng):
    images = np.stack([np.zeros((40, 40)), -gaussian(2), gaussian(2, 8), gaussian(30)])
    assert np.isnan(fwhm_pixels(images)).all()
