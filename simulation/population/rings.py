"""Galaxies with rings, about the origin: a red core in a ring of young stars resembles an Einstein ring most."""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

from simulation.population.colours import early_type_sed, star_forming_sed
from simulation.population.shapes import bar_light, bulge_light, disc_light, knots, on_ellipse, pick
from simulation.systems import Annulus, Light, Sed, Sersic

RADII_ARCSEC = (0.4, 2.5)
"""Circularised radii of rings."""
Make = Callable[[Generator, Sed, Sed, float], tuple[Light, ...]]
"""Function of (rng, SED of the core, SED of the ring, radius_arcsec) that returns components."""


def ring_galaxy(rng: Generator, vis_mag: float, z: float) -> tuple[Light, ...]:
    """Draw a ring galaxy, as the shapes in `simulation.population.shapes`: concentric, off-centre, partial, polar or barred."""
    radius = float(np.clip(10 ** (0.08 - 0.07 * (vis_mag - 20) + rng.normal(0, 0.17)), *RADII_ARCSEC))
    # The light of rings is from their youngest stars, with little dust.
    old, young = early_type_sed(vis_mag, z, rng), star_forming_sed(vis_mag, z, rng, rng.gamma(1.2, 0.08))
    make: Make = pick(rng, (0.4, _concentric), (0.2, _collisional), (0.15, _partial), (0.1, _polar), (0.15, _barred))
    return make(rng, old, young, radius)


def _concentric(rng: Generator, core: Sed, young: Sed, radius: float) -> tuple[Light, ...]:
    """Draw a galaxy of the type of Hoag's object, with or without a faint disc, and with up to eight knots."""
    q, angle = rng.uniform(0.5, 1.0), rng.uniform(0, np.pi)
    share = rng.uniform(0.2, 0.6)
    ring = _ring(rng, young.share(share), radius, q, angle)
    light: list[Light] = [_core(rng, core.share(1 - share), radius, rng.uniform(q, 1.0), angle), ring]
    if rng.random() < 0.5:
        light.append(disc_light(young.share(rng.uniform(0.1, 0.3)), radius / float(np.sqrt(q)), q, angle))
    return (*light, *knots_on(rng, young.share(share), ring, int(rng.integers(0, 9))))


def _collisional(rng: Generator, core: Sed, young: Sed, radius: float) -> tuple[Light, ...]:
    """Draw a galaxy that another crossed: its core is off the centre of the ring, which has one bright side and many knots."""
    q, angle = rng.uniform(0.55, 1.0), rng.uniform(0, np.pi)
    x, y = on_ellipse(radius * rng.uniform(0.1, 0.45), 1.0, 0.0, rng.uniform(0, 2 * np.pi))
    ring = rng.uniform(0.4, 0.75)
    whole = _ring(rng, young.share(0.5 * ring), radius, q, angle, x, y)
    bright = arc(rng, young.share(0.4 * ring), radius, q, angle, x, y)
    light: list[Light] = [_core(rng, core.share(1 - ring), 0.8 * radius, rng.uniform(0.6, 1.0), angle), whole, bright]
    if rng.random() < 0.5:
        distance = min(radius * rng.uniform(1.4, 2.4), 3.2)
        at = on_ellipse(distance, 1.0, 0.0, rng.uniform(0, 2 * np.pi))
        size, q_intruder = radius * rng.uniform(0.1, 0.25), rng.uniform(0.6, 1.0)
        light.append(Sersic(*at, size, 2.5, q_intruder, rng.uniform(0, np.pi), core.share(rng.uniform(0.1, 0.4))))
    return (*light, *knots_on(rng, young.share(ring), whole, int(rng.integers(3, 11))))


def _partial(rng: Generator, core: Sed, young: Sed, radius: float) -> tuple[Light, ...]:
    """Draw one or two arcs of an incomplete ring, in a faint disc."""
    q, angle = rng.uniform(0.5, 1.0), rng.uniform(0, np.pi)
    ring = rng.uniform(0.15, 0.4)
    arcs = [arc(rng, young.share(ring), radius * rng.uniform(0.9, 1.1), q, angle) for _ in range(rng.integers(1, 3))]
    host = _core(rng, core.share(1 - ring), radius, rng.uniform(q, 1.0), angle)
    return (host, disc_light(young.share(rng.uniform(0.1, 0.4)), radius / float(np.sqrt(q)), q, angle), *arcs)


def _polar(rng: Generator, core: Sed, young: Sed, radius: float) -> tuple[Light, ...]:
    """Draw a flat galaxy with a ring across it, seen nearly edge on."""
    q, angle = rng.uniform(0.15, 0.45), rng.uniform(0, np.pi)
    host = _core(rng, core.share(rng.uniform(0.5, 0.8)), 1.2 * radius, rng.uniform(0.35, 0.7), angle)
    ring = _ring(rng, young.share(rng.uniform(0.2, 0.5)), radius, q, angle + np.pi / 2 + rng.normal(0, 0.2))
    return (host, ring, *knots_on(rng, young.share(0.3), ring, int(rng.integers(0, 5))))


def _barred(rng: Generator, core: Sed, young: Sed, radius: float) -> tuple[Light, ...]:
    """Draw a bar with a ring at its ends, and now and then another ring of about twice the radius."""
    q, angle = rng.uniform(0.6, 1.0), rng.uniform(0, np.pi)
    semi_major = radius / float(np.sqrt(q))
    inner = _ring(rng, young.share(rng.uniform(0.15, 0.4)), radius, q, angle)
    light: list[Light] = [
        bulge_light(rng, core.share(rng.uniform(0.15, 0.4)), semi_major, q, angle),
        bar_light(rng, core.share(rng.uniform(0.1, 0.3)), semi_major, angle + rng.normal(0, 0.2)),
        disc_light(young.share(rng.uniform(0.15, 0.4)), 1.2 * semi_major, q, angle),
        inner,
    ]
    if 2.1 * radius < RADII_ARCSEC[1] and rng.random() < 0.6:
        light.append(_ring(rng, young.share(rng.uniform(0.05, 0.2)), 2.1 * radius, rng.uniform(q, 1.0), angle))
    return (*light, *knots_on(rng, young.share(0.3), inner, int(rng.integers(0, 7))))


def _core(rng: Generator, sed: Sed, ring_radius: float, q: float, angle: float) -> Sersic:
    return Sersic(0.0, 0.0, ring_radius * rng.uniform(0.15, 0.35), rng.uniform(1.0, 4.0), q, angle, sed)


def _ring(rng: Generator, sed: Sed, radius: float, q: float, angle: float, x: float = 0.0, y: float = 0.0) -> Annulus:
    return Annulus(x, y, radius, radius * rng.uniform(0.07, 0.23), q, angle, sed)


def arc(rng: Generator, sed: Sed, radius: float, q: float, angle: float, x: float = 0.0, y: float = 0.0) -> Annulus:
    """Draw part of a ring, a quarter to two thirds of a turn long."""
    width, middle, spread = radius * rng.uniform(0.07, 0.15), rng.uniform(0, 2 * np.pi), rng.uniform(0.4, 1.0)
    return Annulus(x, y, radius, width, q, angle, sed, middle, spread)


def knots_on(rng: Generator, sed: Sed, ring: Annulus, n: int) -> tuple[Light, ...]:
    """Draw knots along a ring, each with some per cent of the light of `sed`."""
    positions = []
    for _ in range(n):
        semi_major = ring.radius_arcsec * rng.normal(1, 0.05) / np.sqrt(ring.axis_ratio)
        dx, dy = on_ellipse(semi_major, ring.axis_ratio, ring.angle_rad, rng.uniform(0, 2 * np.pi))
        positions.append((ring.x_arcsec + dx, ring.y_arcsec + dy))
    return knots(rng, sed, n * rng.uniform(0.02, 0.07), positions) if n else ()


def clumps_along(rng: Generator, sed: Sed, ring: Annulus, n: int) -> tuple[Light, ...]:
    """Draw clumps along a ring, or along the part of a ring that has light; together they have the light of `sed`."""
    azimuths = rng.uniform(0, 2 * np.pi, n) if ring.spread_rad is None else rng.normal(ring.middle_rad, ring.spread_rad, n)
    shares = rng.dirichlet(np.full(n, 2.0))
    clumps: list[Light] = []
    for azimuth, share in zip(azimuths, shares, strict=True):
        semi_major = ring.radius_arcsec * float(rng.normal(1, 0.05)) / float(np.sqrt(ring.axis_ratio))
        dx, dy = on_ellipse(semi_major, ring.axis_ratio, ring.angle_rad, float(azimuth))
        size = ring.radius_arcsec * float(rng.uniform(0.05, 0.2))
        clumps.append(Sersic(ring.x_arcsec + dx, ring.y_arcsec + dy, size, 0.5, 1.0, 0.0, sed.share(float(share))))
    return tuple(clumps)
