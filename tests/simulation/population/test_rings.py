"""Tests of galaxies with rings."""

from dataclasses import replace

import numpy as np
import pytest

from simulation.population.rings import clumps_along
from simulation.systems import Annulus, Sed
from tests.simulation.colours import vis_minus_h
from tests.simulation.population.builds import draws, of_type

SED = Sed(24.0, 23.5, 23.2, 23.0)


def test_rings_resemble_einstein_rings_and_are_bluer_than_the_core():
    bluer, radii = [], []
    for _, light in draws("ring_galaxy"):
        rings = of_type(light, Annulus)
        assert rings
        radii += [ring.radius_arcsec for ring in rings]
        bluer.append(vis_minus_h(rings[0].sed) < vis_minus_h(light[0].sed))
    assert min(radii) >= 0.36
    assert max(radii) <= 2.75
    assert 0.6 < np.median(radii) < 1.6
    assert np.mean(bluer) > 0.95


def test_some_rings_are_partial_off_centre_or_with_knots():
    lights = [light for _, light in draws("ring_galaxy")]
    partial_rings = [any(ring.spread_rad is not None for ring in of_type(light, Annulus)) for light in lights]
    offsets = [
        np.hypot(ring.x_arcsec - light[0].x_arcsec, ring.y_arcsec - light[0].y_arcsec) > 0.05 * ring.radius_arcsec
        for light in lights
        for ring in of_type(light, Annulus)[:1]
    ]
    assert 0.2 < np.mean(partial_rings) < 0.55
    assert 0.1 < np.mean(offsets) < 0.35
    assert 0.4 < np.mean([len(light) > 5 for light in lights]) < 0.95


def test_clumps_lie_on_the_lit_part_of_a_ring():
    rng = np.random.default_rng(4)
    whole = Annulus(0.5, -0.3, 1.2, 0.1, 0.6, 0.4, SED)
    for ring, most in ((whole, np.pi), (replace(whole, middle_rad=1.0, spread_rad=0.3), 1.2)):
        clumps = clumps_along(rng, SED, ring, 40)
        assert sum(10 ** (-0.4 * c.sed.vis_mag) for c in clumps) == pytest.approx(10 ** (-0.4 * SED.vis_mag))
        dx = np.array([c.x_arcsec - 0.5 for c in clumps])
        dy = np.array([c.y_arcsec + 0.3 for c in clumps])
        along = (dx * np.cos(0.4) + dy * np.sin(0.4)) * 0.6**0.5
        across = (dy * np.cos(0.4) - dx * np.sin(0.4)) / 0.6**0.5
        np.testing.assert_allclose(np.hypot(along, across), 1.2, rtol=0.2)
        turns = np.abs(np.angle(np.exp(1j * (np.arctan2(across, along) - ring.middle_rad))))
        assert 0.4 * most < turns.max() <= most
