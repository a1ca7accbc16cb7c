"""Tests of the compiled profiles against closed forms and sums over many samples."""

import numpy as np
import pytest

from simulation.optics import light_kernels
from simulation.optics.light import _profile
from tests.simulation.optics.components import EXTENDED, PICTURE
from tests.simulation.surface_brightness import surface_brightness


def test_fast_logarithm_and_power_match_numpy():
    logarithms = np.geomspace(1e-30, 1e30, 999).astype(np.float32)
    found = [light_kernels._log2(x) for x in logarithms]
    np.testing.assert_allclose(found, np.log2(logarithms.astype(float)), rtol=2e-7, atol=2e-6)
    powers = np.linspace(-99, 99, 999).astype(np.float32)
    np.testing.assert_allclose([light_kernels._exp2(x) for x in powers], np.exp2(powers.astype(float)), rtol=1e-6)
    assert light_kernels._exp2(np.float32(-101)) == 0


def in_frame(profile, x, y):
    """Return coordinates in a profile's own frame, for offsets from the component in arcsec."""
    a, b, c, d = profile.frame
    return (a * x + b * y).astype(np.float32), (c * x + d * y).astype(np.float32)


@pytest.mark.parametrize("component", EXTENDED)
def test_profiles_have_the_brightness_of_the_formulas(component, rng):
    profile = _profile(component)
    x, y = rng.uniform(-1, 1, (2, 300)) * profile.reach_arcsec / 2
    u, v = in_frame(profile, x, y)
    values, steps = np.transpose(
        [light_kernels._profile(profile.shape, profile.parameters, *at) for at in zip(u, v, strict=True)]
    )
    is_inside = np.hypot(u, v) < profile.parameters[0]
    assert is_inside.sum() > 50
    expected = surface_brightness(component, component.x_arcsec + x, component.y_arcsec + y)
    np.testing.assert_allclose((profile.peak * values)[is_inside], expected[is_inside], rtol=1e-4, atol=1e-6 * expected.max())
    assert not values[~is_inside].any()
    assert (steps > 0).all()


@pytest.mark.parametrize("component", EXTENDED)
def test_a_large_pixel_holds_the_mean_of_many_samples(component, rng):
    profile, n = _profile(component), 400
    # Edges of a skewed pixel, as a lens makes them.
    edges = np.array([[0.3, 0.05], [-0.1, 0.2]])
    for x, y in rng.uniform(-0.6, 0.6, (10, 2)):
        (u,), (v,) = in_frame(profile, np.array([x]), np.array([y]))
        (au, bu), (av, bv) = in_frame(profile, edges[:, 0], edges[:, 1])
        mean = light_kernels._mean(profile.shape, profile.parameters, u, v, au, av, bu, bv)
        at = (np.arange(n) + 0.5) / n - 0.5
        along, across = np.meshgrid(at, at)
        dx, dy = (edges[0, i] * along + edges[1, i] * across for i in (0, 1))
        samples = surface_brightness(component, component.x_arcsec + x + dx, component.y_arcsec + y + dy)
        assert profile.peak * mean == pytest.approx(samples.mean(), rel=0.02, abs=1e-3 * profile.peak)


@pytest.mark.parametrize("at", [(np.nan, 0.0), (0.0, np.nan), (np.nan, np.nan), (np.inf, 0.0), (0.0, -np.inf), (1e30, 1e30)])
def test_a_position_that_is_no_number_is_dark(at):
    profile = _profile(PICTURE)
    value, _ = light_kernels._profile(profile.shape, profile.parameters, *np.array(at, np.float32))
    assert value == 0


def test_positions_at_the_border_of_a_picture_are_inside():
    """The last positions inside, in single precision, are beside the dark border."""
    profile = _profile(PICTURE)
    middle = np.float32((len(PICTURE.texture.pixels) + 1) / 2)
    last = np.nextafter(middle, np.float32(0))
    for at in ((last, last), (-last, -last), (last, -last), (-last, last)):
        value, _ = light_kernels._profile(profile.shape, profile.parameters, *at)
        assert 0 <= value < 1e-4


def test_edges_of_a_linear_map_are_its_columns():
    """The map holds up to the border of the image, where a pixel has one neighbour."""
    side, matrix = 0.05, np.array([[0.7, -0.2], [0.3, 1.4]])
    x, y = np.meshgrid(np.arange(7) * side, np.arange(5) * side)
    beta = np.einsum("ij,jyx->iyx", matrix, np.stack([x, y]))
    edges, longest = light_kernels.mapped_edges(*beta, side)
    expected = side * np.array([*matrix[:, 0], *matrix[:, 1]])
    np.testing.assert_allclose(edges, np.broadcast_to(expected, (5, 7, 4)), rtol=1e-5)
    np.testing.assert_allclose(longest, side * np.hypot(0.2, 1.4), rtol=1e-5)


def test_edges_about_a_singular_centre_are_zero():
    """A singular isothermal sphere throws the pixels beside its centre to opposite sides of the source plane."""
    axis = (np.arange(9) - 4) * 0.05 + 0.001
    x, y = np.meshgrid(axis, axis)
    radius = np.hypot(x, y)
    _, longest = light_kernels.mapped_edges(x - x / radius, y - y / radius, 0.05)
    assert longest[4, 4] == 0
    assert (longest[np.hypot(x, y) > 0.12] > 0).all()
