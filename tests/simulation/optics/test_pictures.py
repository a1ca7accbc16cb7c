"""Tests of light that is a picture of a galaxy."""

import numpy as np
import pytest
from lenstronomy.LensModel.lens_model import LensModel

from simulation.optics.light import FINE_SCALE_ARCSEC, FineGrid, draw, draw_lensed, extent_arcsec
from simulation.systems import Picture
from tests.simulation.optics.components import PICTURE, SED, sersic, total, unit_image
from tests.simulation.textures_made import disc_texture, lumpy_texture


def disc_and_picture(radius):
    """Return an inclined exponential disc off the centre, and the same as a picture of a disc along the x axis."""
    disc = sersic(
        half_light_radius_arcsec=radius, sersic_index=1.0, axis_ratio=0.6, angle_rad=2.0, x_arcsec=0.11, y_arcsec=-0.07
    )
    return disc, Picture(0.11, -0.07, radius, 2.0, SED, disc_texture(axis_ratio=0.6))


@pytest.mark.parametrize("radius", [0.05, 0.2, 0.8])
def test_a_picture_of_a_disc_is_the_disc(radius):
    """The texture's pixels blunt the cusp of the disc, and it ends at 5 half-light radii, beyond which is 1 % of the light."""
    disc, picture = disc_and_picture(radius)
    expected, found = unit_image(disc, 240), unit_image(picture, 240)
    assert np.abs(found - expected).max() < 0.03 * expected.max()
    assert np.abs(found - expected).sum() < 0.02


def test_a_lensed_picture_of_a_disc_is_the_lensed_disc():
    x, y = np.meshgrid(FineGrid(120).axis_arcsec, FineGrid(120).axis_arcsec)
    lens = [{"theta_E": 1.0, "e1": 0.2, "e2": 0.1, "center_x": 0.013, "center_y": -0.007}]
    betas = [beta.reshape(x.shape) for beta in LensModel(["SIE"]).ray_shooting(x.ravel(), y.ravel(), lens)]
    expected, found = (draw_lensed([light], *betas, ("VIS",))["VIS"] for light in disc_and_picture(0.2))
    assert np.abs(found - expected).max() < 0.02 * expected.max()
    assert found.sum() == pytest.approx(expected.sum(), rel=0.01)


@pytest.mark.parametrize("radius", [0.02, 0.1, 0.7])
@pytest.mark.parametrize("n_pixels", [39, 40])
def test_a_picture_keeps_its_flux_at_all_sizes(radius, n_pixels):
    picture = Picture(0.013, -0.021, radius, 0.4, SED, lumpy_texture(2, n_pixels))
    assert total(picture, 200) == pytest.approx(1.0, rel=2e-3)


def test_a_picture_bright_up_to_its_border_keeps_its_flux():
    texture = lumpy_texture(3)
    inner = type(texture)(texture.pixels[12:28, 12:28], 4.0, 0.0)
    assert inner.pixels[0].max() > 0.1 * inner.pixels.max()
    picture = Picture(0.0, 0.0, 0.5, 0.3, SED, inner)
    assert total(picture, 200) == pytest.approx(1.0, rel=2e-3)
    axis, half = FineGrid(200).axis_arcsec, 17 / 2 * picture.pixel_arcsec
    own = (axis[None, :] + 1j * axis[:, None]) * np.exp(-0.3j)
    is_outside = np.maximum(np.abs(own.real), np.abs(own.imag)) > half + FINE_SCALE_ARCSEC
    assert not unit_image(picture, 200)[is_outside].any()


def test_a_mirrored_picture_has_its_y_axis_turned_round():
    plain = Picture(0.0, 0.0, 0.5, 0.0, SED, lumpy_texture(1))
    mirrored = Picture(**{**vars(plain), "is_mirrored": True})
    np.testing.assert_allclose(unit_image(mirrored, 100), unit_image(plain, 100)[::-1], atol=1e-6)
    assert np.abs(unit_image(mirrored, 100) - unit_image(plain, 100)).sum() > 0.2


def test_light_beyond_the_extent_of_a_picture_is_none():
    axis = FineGrid(200).axis_arcsec
    image = draw([PICTURE], FineGrid(200))["VIS"]
    reached = np.abs(axis[image.any(axis=0)] - PICTURE.x_arcsec).max()
    assert reached < extent_arcsec(PICTURE) < 2 * reached
