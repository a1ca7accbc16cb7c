"""Compares the compiled loops with numpy: medians of rings, the lower convex hull by brute force, `np.interp`."""

import numpy as np
import pytest

from scanner.preprocess.ellipse_profile import ellipse_radii_arcsec, light_left, profile

PIXEL_ARCSEC = 0.1
PLACE = np.array([0.05, -0.1, 0.3, -0.2])


def pixels(rng, n=60):
    """Positions of a square image in arcsec, and light that falls outwards, with noise."""
    y, x = (np.indices((n, n)).reshape(2, -1) - (n - 1) / 2) * PIXEL_ARCSEC
    return y, x, 50 * np.exp(-np.hypot(y, x) / 0.7) + rng.normal(0, 1, n * n)


def expected_profile(values, radii):
    ring = np.digitize(radii, np.arange(0, radii.max() + 0.2, PIXEL_ARCSEC) * (1 - 1e-12))
    filled = np.unique(ring)
    middles = np.array([radii[ring == k].mean() for k in filled])
    medians = np.array([np.median(values[ring == k]) for k in filled])
    n_core = int((middles < 0.4).sum())
    low = medians.copy()
    # The lower convex hull is the lowest of all chords over a place.
    for i in range(n_core, len(medians)):
        for a in range(n_core, i + 1):
            for b in range(i + 1, len(medians)):
                share = (middles[i] - middles[a]) / (middles[b] - middles[a])
                low[i] = min(low[i], (1 - share) * medians[a] + share * medians[b])
    return np.interp(radii, middles, np.minimum.accumulate(low))


def test_a_profile_is_the_lower_hull_of_the_medians(rng):
    y, x, values = pixels(rng)
    # A ring of light lies above the hull and is left out of the profile.
    values += 30 * (np.abs(np.hypot(y, x) - 1.5) < 0.15)
    radii = ellipse_radii_arcsec(y, x, PLACE)
    found = profile(values, np.argsort(values), radii, PIXEL_ARCSEC)
    np.testing.assert_allclose(found, expected_profile(values, radii), atol=1e-9)


def test_a_profile_never_rises(rng):
    y, x, _ = pixels(rng)
    rising = np.hypot(y, x) + rng.normal(0, 0.1, len(y))
    radii = ellipse_radii_arcsec(y, x, PLACE)
    found = profile(rising, np.argsort(rising), radii, PIXEL_ARCSEC)
    assert (np.diff(found[np.argsort(radii)]) <= 1e-12).all()


def test_empty_rings_are_passed_over():
    radii = np.array([0.0, 0.55, 0.58, 1.31, 1.32])
    values = np.array([10.0, 6.0, 4.0, 1.0, 2.0])
    found = profile(values, np.argsort(values), radii, PIXEL_ARCSEC)
    # Means of the radii 0, 0.565 and 1.315 have the medians 10, 5 and 1.5.
    np.testing.assert_allclose(found, np.interp(radii, [0, 0.565, 1.315], [10, 5, 1.5]))


def test_radii_are_those_of_ellipses(rng):
    """Far from the centre, the ellipse has the stated axis ratio, and a circle of the mean radius the same area."""
    ellipticity = 0.6
    axis_ratio = np.sqrt((1 - ellipticity) / (1 + ellipticity))
    angle = rng.uniform(0, 2 * np.pi, 50)
    a, b = 1e4 / np.sqrt(axis_ratio), 1e4 * np.sqrt(axis_ratio)
    for turn, place in ((0.0, (0.0, 0.0, ellipticity, 0.0)), (np.pi / 4, (0.0, 0.0, 0.0, ellipticity))):
        x = a * np.cos(angle) * np.cos(turn) - b * np.sin(angle) * np.sin(turn)
        y = a * np.cos(angle) * np.sin(turn) + b * np.sin(angle) * np.cos(turn)
        np.testing.assert_allclose(ellipse_radii_arcsec(y, x, np.array(place)), 1e4, rtol=1e-6)


def test_ellipses_are_round_at_their_centre():
    y, x = np.array([0.55, 0.5, 0.51]), np.array([-0.2, -0.15, -0.2])
    radii = ellipse_radii_arcsec(y, x, np.array([0.5, -0.2, 0.6, 0.3]))
    np.testing.assert_allclose(radii, [0.05, 0.05, 0.01], rtol=0.06)


@pytest.mark.parametrize("move", [(0.2, 0, 0, 0), (0, 0.2, 0, 0), (0, 0, 0.3, 0), (0, 0, 0, 0.3)])
def test_the_true_ellipses_leave_the_least_light(move):
    y, x, _ = pixels(np.random.default_rng(0))
    values = 50 * np.exp(-ellipse_radii_arcsec(y, x, PLACE) / 0.7)
    order = np.argsort(values)
    left = [light_left(values, order, y, x, PLACE + np.array(sign) * move, PIXEL_ARCSEC) for sign in (0, 1, -1)]
    assert left[0] < min(left[1:]) / 2


def test_light_left_is_the_mean_root(rng):
    y, x, values = pixels(rng)
    galaxy = profile(values, np.argsort(values), ellipse_radii_arcsec(y, x, PLACE), PIXEL_ARCSEC)
    expected = np.sqrt(np.abs(values - galaxy)).mean()
    assert light_left(values, np.argsort(values), y, x, PLACE, PIXEL_ARCSEC) == pytest.approx(expected, rel=1e-12)
