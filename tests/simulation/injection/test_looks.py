"""The look of galaxies: the same for a simulated galaxy and its image, and different for stars, discs and faint galaxies."""

from dataclasses import replace

import numpy as np
import pytest

from scanner.vocabulary.bands import EUCLID
from scanner.vocabulary.geometry import MER
from simulation.injection.arcs import Host, lens_mag
from simulation.injection.looks import RADII_ARCSEC, TOLERANCES, alike, host_look, lens_look
from simulation.optics.light import draw
from simulation.optics.observation import Conditions, Optics
from simulation.population import forecast
from simulation.products.render import INNER_GRID
from simulation.systems import Sersic

OPTICS = Optics(MER, Conditions.nominal(20.0))


@pytest.fixture(scope="module")
def systems():
    """Return single lenses that can be hosts, with their galaxies in the middle."""
    rng, found = np.random.default_rng(3), []
    while len(found) < 6:
        system = forecast.draw_lens("single", rng, 20.0)
        if 17 < lens_mag(system) < 21.5:
            found.append(system.moved(-system.masses[0].x_arcsec, -system.masses[0].y_arcsec))
    return found


def images_of(system, noise=0.003):
    """Return images of a system's galaxy without arcs, with white noise."""
    rng, fine = np.random.default_rng(1), draw(system.galaxy, INNER_GRID)
    clean = {band: OPTICS.observe(band, fine[band]) for band in EUCLID}
    return {band: (image + rng.normal(0, noise, image.shape)).astype(np.float32) for band, image in clean.items()}


def test_an_image_looks_like_the_galaxy_in_it(systems):
    for system in systems:
        look = lens_look(system, OPTICS)
        seen = host_look(Host.of(images_of(system)), look[1], look[2])
        assert list(alike(seen[None], look)) == [0]
        # The host's magnitude is known to 0.3 mag; growth and shape are measured on the same pixels.
        np.testing.assert_allclose(seen[3:], look[3:], atol=0.06)


def test_the_look_does_not_depend_on_the_place(systems):
    away = systems[0].moved(1.3, -0.7)
    np.testing.assert_allclose(lens_look(away, OPTICS), lens_look(systems[0], OPTICS), atol=1e-6)


def test_growth_and_ellipticity_of_a_gaussian():
    """An elliptical Gaussian of known widths, integrated on fine pixels by hand."""
    axis = (np.arange(120) - 59.5) * 0.1
    x, y = np.meshgrid(axis, axis)
    light = np.exp(-(x**2 / 0.5**2 + y**2 / 0.3**2) / 2).astype(np.float32) * 20
    sky = np.random.default_rng(2).normal(0, 1e-4, light.shape)
    images = dict.fromkeys(EUCLID, (light + sky).astype(np.float32))
    look = host_look(Host.of(images), 1.5, 0.6)
    radius = np.hypot(x, y)
    fluxes = [light[radius < r].sum() for r in RADII_ARCSEC]
    np.testing.assert_allclose(look[3:6], 2.5 * np.diff(np.log10(fluxes)), atol=0.03)
    inside = light * (radius < 1.2)
    xx, yy = (inside * x**2).sum(), (inside * y**2).sum()
    assert look[6] == pytest.approx((xx - yy) / (xx + yy), abs=0.01)
    assert (look[1], look[2]) == (1.5, 0.6)


@pytest.mark.parametrize("entry", range(len(TOLERANCES)))
def test_each_difference_counts_on_its_own(entry):
    look = np.arange(float(len(TOLERANCES)))
    others = np.stack([look, look, look])
    others[0, entry] += 0.99 * TOLERANCES[entry]
    others[1, entry] -= 1.01 * TOLERANCES[entry]
    others[2, entry] = np.nan
    assert alike(others, look).tolist() == [0]


@pytest.mark.parametrize("changes", [{"axis_ratio": 0.2}, {"sersic_index": 0.5}, {"half_light_radius_arcsec": 0.02}])
def test_discs_and_stars_are_unlike_lens_galaxies(systems, changes):
    """A round galaxy of index 4 is flattened, becomes a disc, or a point."""
    first = next(light for light in systems[0].galaxy if isinstance(light, Sersic))
    usual = replace(first, x_arcsec=0.0, y_arcsec=0.0, half_light_radius_arcsec=0.6, sersic_index=4.0, axis_ratio=0.9)
    one, other = (replace(systems[0], galaxy=(light,)) for light in (usual, replace(usual, **changes)))
    look = lens_look(one, OPTICS)
    assert len(alike(lens_look(other, OPTICS)[None], look)) == 0
    assert list(alike(lens_look(one, OPTICS)[None], look)) == [0]
