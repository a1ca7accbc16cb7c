"""Tests of single galaxies."""

import numpy as np
import pytest

from simulation.population import shapes
from simulation.systems import Sersic, SpiralArms
from tests.simulation.colours import vis_minus_h
from tests.simulation.population.builds import N_DRAWS, draws, of_type
from tests.simulation.surface_brightness import surface_brightness


def test_ellipticals_are_concentrated_and_red():
    lights = [light for _, light in draws("elliptical", 20.5)]
    assert all(2.5 <= light[0].sersic_index <= 6 for light in lights)
    red = np.median([vis_minus_h(light[0].sed) for light in lights])
    blue = np.median([vis_minus_h(max(light, key=lambda part: -part.sed.vis_mag).sed) for _, light in draws("disc", 20.5)])
    assert red > blue + 0.3


def test_fainter_galaxies_are_smaller():
    for kind in ("elliptical", "disc", "spiral", "edge_on"):
        bright, faint = (
            np.median([max(p.half_light_radius_arcsec for p in of_type(light, Sersic)) for _, light in draws(kind, mag)])
            for mag in (19.0, 24.0)
        )
        assert bright > 2 * faint


def test_spirals_have_arms_at_the_scale_of_lensed_images():
    for _, light in draws("spiral", 20.5):
        armed = [part for part in of_type(light, Sersic) if part.arms is not None]
        assert armed
        assert all(2 <= part.arms.n_arms <= 4 for part in armed)
        assert all(10 <= np.degrees(abs(part.arms.pitch_rad)) <= 35 for part in armed)
        assert max(part.arms.strength for part in armed) <= 1
        # Arms show between 0.7 and 2 half-light radii.
        semi_major = max(part.half_light_radius_arcsec / np.sqrt(part.axis_ratio) for part in armed)
        assert 0.7 * semi_major < 2.5
        assert 2.0 * semi_major > 0.7


@pytest.mark.parametrize("n_arms", [2, 3, 4])
@pytest.mark.parametrize("pitch_deg", [-30.0, 12.0])
@pytest.mark.parametrize("q", [1.0, 0.5])
def test_arm_ridges_lie_where_the_drawn_arms_are_brightest(n_arms, pitch_deg, q):
    """Knots and bars are placed on the ridge; the brightness along an isophote of the disc gives its position."""
    arms = SpiralArms(0.8, np.radians(pitch_deg), 0.7, n_arms)
    disc = shapes.disc_light(draws("disc")[0][1][0].sed, 1.0, q, 0.4, arms)
    azimuths = np.linspace(0, 2 * np.pi, 721)[:-1]
    for scaled in (0.8, 1.7):
        x, y = np.transpose([shapes.on_ellipse(scaled, q, 0.4, azimuth) for azimuth in azimuths])
        brightness = surface_brightness(disc, x, y)
        for arm in range(n_arms):
            ridge = shapes.on_ellipse(scaled, q, 0.4, shapes.arm_azimuth_rad(arms, scaled, arm))
            at_ridge = surface_brightness(disc, np.array([ridge[0]]), np.array([ridge[1]]))[0]
            assert at_ridge == pytest.approx(brightness.max(), rel=1e-3)
        assert brightness.max() > 2 * brightness.min()


def test_knots_lie_on_the_arms():
    """The smooth disc with arms is brighter at knots than at points with the same distances and random azimuths."""
    on, off = [], []
    rng = np.random.default_rng(3)
    for _, light in draws("spiral", 20.5):
        disc = next(part for part in light[::-1] if isinstance(part, Sersic) and part.arms is not None)
        for knot in light[light.index(disc) + 1 :]:
            x, y = knot.x_arcsec - disc.x_arcsec, knot.y_arcsec - disc.y_arcsec
            along = x * np.cos(disc.angle_rad) + y * np.sin(disc.angle_rad)
            across = (y * np.cos(disc.angle_rad) - x * np.sin(disc.angle_rad)) / disc.axis_ratio
            if knot.sersic_index == 0.5:
                continue
            dx, dy = shapes.on_ellipse(np.hypot(along, across), disc.axis_ratio, disc.angle_rad, rng.uniform(0, 2 * np.pi))
            places = np.array([[knot.x_arcsec, disc.x_arcsec + dx], [knot.y_arcsec, disc.y_arcsec + dy]])
            brightness = surface_brightness(disc, *places)
            on.append(brightness[0])
            off.append(brightness[1])
    assert len(on) > 3 * N_DRAWS
    assert np.mean(np.array(on) > np.array(off)) > 0.75


def test_edge_on_discs_are_thin():
    for _, light in draws("edge_on"):
        discs = light[1:]
        assert discs
        assert all(0.1 <= part.axis_ratio <= 0.25 for part in discs)
    turned = [len({round(part.angle_rad, 6) for part in light[1:]}) > 1 for _, light in draws("edge_on")]
    assert 0.15 < np.mean(turned) < 0.45
