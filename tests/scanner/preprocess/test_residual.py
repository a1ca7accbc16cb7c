"""A residual holds the arcs and the neighbours of a galaxy, and nothing of the galaxy itself."""

import numpy as np
import pytest

from scanner.preprocess.residual import RESIDUAL_STRETCH, residual_in_sky, residual_picture

N, PIXEL_ARCSEC, SKY, SIGMA = 100, 0.1, 7.0, 0.25
MIDDLE = (N - 1) / 2


def places(y0=0.0, x0=0.0):
    """Distances from a point near the middle, in arcsec."""
    y, x = np.indices((N, N), float)
    return (y - MIDDLE) * PIXEL_ARCSEC - y0, (x - MIDDLE) * PIXEL_ARCSEC - x0


def galaxy(axis_ratio=1.0, angle_deg=0.0, y0=0.0, x0=0.0, peak=400.0):
    """An exponential disc of 0.6 arcsec, in noise of the sky."""
    y, x = places(y0, x0)
    c, s = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    radius = np.hypot(x * c + y * s, (y * c - x * s) / axis_ratio)
    return peak * SIGMA * np.exp(-np.hypot(radius, 0.15) / 0.6)


def seen(light, rng):
    return (SKY + light + rng.normal(0, SIGMA, (N, N))).astype(np.float32)


@pytest.mark.parametrize(
    ("axis_ratio", "angle_deg", "y0", "x0"), [(1, 0, 0, 0), (0.6, 30, 0, 0), (0.5, 120, 0.05, -0.12), (0.7, 90, -0.2, 0.1)]
)
def test_a_smooth_galaxy_disappears(rng, axis_ratio, angle_deg, y0, x0):
    left = residual_in_sky(seen(galaxy(axis_ratio, angle_deg, y0, x0), rng), PIXEL_ARCSEC)
    outside = np.hypot(*places()) > 0.7
    # The noise of a pixel falls to 1 / (2 sqrt(pi)) of itself by the blur of one pixel.
    assert np.std(left[outside]) == pytest.approx(0.28, abs=0.1)
    assert np.abs(np.median(left[outside])) < 0.2
    # At 0.7 arcsec the galaxy is a hundred times the noise.
    assert np.abs(left[outside]).max() < 6


@pytest.mark.parametrize("part", [0.25, 0.45, 1.0])
def test_arcs_and_whole_rings_stay(rng, part):
    """A ring of 10 times the noise, whole or in part, keeps most of its brightness."""
    y, x = places()
    on_ring = np.abs(np.hypot(y, x) - 1.5) < 0.15
    is_arc = on_ring & (np.abs(np.arctan2(y, x)) <= part * np.pi)
    left = residual_in_sky(seen(galaxy(0.8, 20) + 10 * SIGMA * is_arc, rng), PIXEL_ARCSEC)
    # The blur takes some of it to the gaps beside.
    assert np.median(left[is_arc]) > 4.5
    assert np.abs(np.median(left[np.hypot(y, x) > 2.5])) < 0.3


def test_results_do_not_depend_on_units_and_level(rng):
    image = seen(galaxy(0.7, 45), rng)
    left = residual_in_sky(image, PIXEL_ARCSEC)
    np.testing.assert_allclose(residual_in_sky(image * 50 + 1000, PIXEL_ARCSEC), left, atol=0.05)


def test_a_blank_image_is_no_error():
    assert np.isfinite(residual_in_sky(np.zeros((N, N), np.float32), PIXEL_ARCSEC)).all()


def test_pictures_are_black_grey_and_white():
    low, high = RESIDUAL_STRETCH
    shown = residual_picture(np.array([2 * low, low, 0, high, 2 * high]))
    np.testing.assert_allclose(shown[[0, 1, 3, 4]], [0, 0, 1, 1])
    assert 0.2 < shown[2] < 0.4
