"""Tests of galaxies with rings."""

import numpy as np

from simulation.systems import Annulus
from tests.simulation.colours import vis_minus_h
from tests.simulation.population.builds import draws, of_type


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
