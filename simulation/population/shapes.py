"""Single galaxies about the origin: a shape takes a Generator, a VIS magnitude and a redshift, and returns components.

Only the components' shares of the light matter here: `galaxies` scales their sum to the requested magnitude.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

import numpy as np
from numpy.random import Generator

from simulation.population.colours import early_type_sed, star_forming_sed
from simulation.systems import Annulus, Light, Sed, Sersic, SpiralArms

Shape = Callable[[Generator, float, float], tuple[Light, ...]]
"""Function of (rng, vis_mag, z) that returns components."""
T = TypeVar("T")

_MAX_DISC_ARCSEC = 1.8
"""Largest half-light semi-major axis: arms and knots of larger discs are farther out than those of lenses."""
_MAX_KNOT_ARCSEC = 3.2
"""Largest distance of star-forming knots from the centre."""


def early_type_redshift(rng: Generator, vis_mag: float) -> float:
    """Draw a redshift near those of lens galaxies: 0.5 at VIS 20.5, larger for fainter galaxies."""
    median = max(0.5 + 0.14 * (vis_mag - 20.5), 0.1)
    return min(max(median * float(rng.lognormal(0, 0.3)), 0.05), 1.5)


def late_type_redshift(rng: Generator, vis_mag: float) -> float:
    """Draw a redshift about the medians of deep surveys: 0.28 at VIS 20 and 0.8 at 24, with a wide scatter."""
    median = max(0.28 + 0.135 * (vis_mag - 20), 0.08)
    return min(max(median * float(rng.lognormal(0, 0.4)), 0.03), 2.5)


def early_type_radius_arcsec(rng: Generator, vis_mag: float) -> float:
    """Draw a half-light radius: 0.7 arcsec at VIS 20.5."""
    return float(10 ** (-0.15 - 0.12 * (vis_mag - 20.5) + rng.normal(0, 0.15)))


def disc_semi_major_arcsec(rng: Generator, vis_mag: float) -> float:
    """Draw a half-light semi-major axis: 1 arcsec at VIS 20, 0.4 at 24."""
    return min(float(10 ** (-0.1 * (vis_mag - 20) + rng.normal(0, 0.14))), _MAX_DISC_ARCSEC)


def pick(rng: Generator, *options: tuple[float, T]) -> T:
    """Draw one of several (weight, option)."""
    left = rng.random() * sum(weight for weight, _ in options)
    for weight, option in options:
        left -= weight
        if left < 0:
            return option
    return options[-1][1]


def on_ellipse(semi_major: float, axis_ratio: float, angle_rad: float, azimuth_rad: float) -> tuple[float, float]:
    """Return x and y on the sky of a point at an azimuth of a circular disc, when the disc is inclined."""
    along, across = semi_major * np.cos(azimuth_rad), semi_major * axis_ratio * np.sin(azimuth_rad)
    cos, sin = np.cos(angle_rad), np.sin(angle_rad)
    return float(cos * along - sin * across), float(sin * along + cos * across)


def arm_azimuth_rad(arms: SpiralArms, scaled_radius: float, arm: int = 0) -> float:
    """Return the azimuth in the disc's plane of an arm's ridge at a radius in units of the half-light radius."""
    return float(arms.phase_rad + np.log(scaled_radius) / np.tan(arms.pitch_rad) + 2 * np.pi * arm / arms.n_arms)


def knots(rng: Generator, sed: Sed, share: float, positions: Iterable[tuple[float, float]]) -> tuple[Light, ...]:
    """Draw star-forming knots at positions, a few of them bright; together they have a share of the light."""
    kept = [position for position in positions if np.hypot(*position) < _MAX_KNOT_ARCSEC]
    weights = rng.lognormal(0, 0.7, len(kept))
    radii = rng.uniform(0.03, 0.11, len(kept))
    return tuple(
        Sersic(x, y, float(radius), 1.0, 1.0, 0.0, sed.share(share * weight / weights.sum()))
        for (x, y), radius, weight in zip(kept, radii, weights, strict=True)
    )


def elliptical(rng: Generator, vis_mag: float, z: float) -> tuple[Light, ...]:
    """Draw an early-type galaxy, now and then with an envelope or faint shells."""
    sed = early_type_sed(vis_mag, z, rng)
    radius = early_type_radius_arcsec(rng, vis_mag)
    q, angle = rng.uniform(0.5, 1.0), rng.uniform(0, np.pi)
    light: list[Light] = [Sersic(0.0, 0.0, radius, rng.uniform(2.5, 6.0), q, angle, sed)]
    if rng.random() < 0.3:
        envelope = radius * rng.uniform(2.0, 3.5), rng.uniform(0.8, 1.5), min(q + rng.uniform(0, 0.2), 1.0)
        light.append(Sersic(0.0, 0.0, *envelope, angle + rng.normal(0, 0.2), sed.share(rng.uniform(0.1, 0.5))))
    if rng.random() < 0.12:
        light += shells(rng, sed, radius, angle)
    return tuple(light)


def shells(rng: Generator, sed: Sed, radius_arcsec: float, angle_rad: float) -> tuple[Light, ...]:
    """Draw one to three faint arcs at alternating ends of the major axis, remnants of an accreted galaxy."""
    arcs = []
    for i in range(rng.integers(1, 4)):
        at = min(radius_arcsec * rng.uniform(1.5, 2.5) * 1.35**i, 3.0)
        width, spread = at * rng.uniform(0.06, 0.14), rng.uniform(0.3, 0.7)
        share = sed.share(rng.uniform(0.004, 0.025))
        arcs.append(Annulus(0.0, 0.0, at, width, rng.uniform(0.8, 1.0), angle_rad, share, np.pi * (i % 2), spread))
    return tuple(arcs)


def disc(rng: Generator, vis_mag: float, z: float) -> tuple[Light, ...]:
    """Draw a disc with a redder bulge; one in four is clumpy."""
    old, young = early_type_sed(vis_mag, z, rng), star_forming_sed(vis_mag, z, rng)
    semi_major, angle = disc_semi_major_arcsec(rng, vis_mag), rng.uniform(0, np.pi)
    q = _inclined(rng, rng.uniform(0.3, 1.0))
    bulge = rng.uniform(0.05, 0.5)
    light: list[Light] = [
        bulge_light(rng, old.share(bulge), semi_major, q, angle),
        disc_light(young.share(1 - bulge), semi_major, q, angle),
    ]
    if rng.random() < 0.25:
        radii = semi_major * rng.uniform(0.3, 1.8, rng.integers(1, 6))
        positions = [on_ellipse(r, q, angle, rng.uniform(0, 2 * np.pi)) for r in radii]
        light += knots(rng, star_forming_sed(vis_mag, z, rng), rng.uniform(0.05, 0.3), positions)
    return tuple(light)


def spiral(rng: Generator, vis_mag: float, z: float) -> tuple[Light, ...]:
    """Draw young arms on an older disc with a bulge, sometimes a bar, and knots along the arms."""
    old, young = early_type_sed(vis_mag, z, rng), star_forming_sed(vis_mag, z, rng)
    semi_major = min(1.15 * disc_semi_major_arcsec(rng, vis_mag), _MAX_DISC_ARCSEC)
    q, angle = rng.uniform(0.4, 1.0), rng.uniform(0, np.pi)
    n_arms = pick(rng, (0.65, 2), (0.2, 3), (0.15, 4))
    # Many tightly wound arms would blur into a disc.
    pitch = float(np.radians(rng.uniform(5 + 5 * (n_arms - 1), 35))) * pick(rng, (1, 1), (1, -1))
    arms = SpiralArms(rng.uniform(0.75, 1.0), pitch, rng.uniform(0, 2 * np.pi), n_arms)
    smooth = SpiralArms(arms.strength * rng.uniform(0.2, 0.6), pitch, arms.phase_rad, n_arms)
    bulge, disc_of_old = rng.uniform(0.05, 0.35), rng.uniform(0.1, 0.4)
    light: list[Light] = [
        bulge_light(rng, old.share(bulge), semi_major, q, angle),
        disc_light(old.share((1 - bulge) * disc_of_old), semi_major, q, angle, smooth),
        disc_light(young.share((1 - bulge) * (1 - disc_of_old)), 1.1 * semi_major, q, angle, arms),
    ]
    if rng.random() < 0.35:
        # The arms start at the bar's ends.
        length = rng.uniform(0.45, 0.7)
        x, y = on_ellipse(length, q, angle, arm_azimuth_rad(arms, length))
        light.append(bar_light(rng, old.share(rng.uniform(0.05, 0.2)), length * semi_major, float(np.arctan2(y, x))))
    radii = rng.uniform(0.6, 2.2, rng.integers(3, 16))
    azimuths = [arm_azimuth_rad(arms, r, int(rng.integers(n_arms))) + rng.normal(0, 0.12) for r in radii]
    positions = [on_ellipse(1.1 * semi_major * r, q, angle, a) for r, a in zip(radii, azimuths, strict=True)]
    light += knots(rng, star_forming_sed(vis_mag, z, rng), rng.uniform(0.03, 0.2), positions)
    return tuple(light)


def edge_on(rng: Generator, vis_mag: float, z: float) -> tuple[Light, ...]:
    """Draw a disc seen edge on, through its dust, with a bulge; some are warped into an S or bent into a bow."""
    old, young = early_type_sed(vis_mag, z, rng), star_forming_sed(vis_mag, z, rng, rng.gamma(2.5, 0.13))
    semi_major = min(1.2 * disc_semi_major_arcsec(rng, vis_mag), _MAX_DISC_ARCSEC)
    q, angle = rng.uniform(0.1, 0.25), rng.uniform(0, np.pi)
    bulge = rng.uniform(0.08, 0.45)
    flat = young.share(1 - bulge)
    shape = pick(rng, (0.7, "flat"), (0.2, "warped"), (0.1, "bent"))
    light: list[Light] = [bulge_light(rng, old.share(bulge), semi_major, rng.uniform(0.5, 0.9), angle)]
    turn = pick(rng, (1, -1), (1, 1)) * rng.uniform(0.06, 0.18)
    if shape == "flat":
        light.append(disc_light(flat, semi_major, q, angle))
    elif shape == "warped":
        light.append(disc_light(flat.share(0.6), 0.7 * semi_major, q, angle))
        light.append(disc_light(flat.share(0.4), 1.3 * semi_major, q, angle + turn))
    else:
        light.append(disc_light(flat.share(0.5), 0.6 * semi_major, q, angle))
        for side in (-1, 1):
            x, y = on_ellipse(side * 0.9 * semi_major, q, angle + side * turn, 0.0)
            light.append(disc_light(flat.share(0.25), 0.5 * semi_major, q, angle + 2 * side * turn, x=x, y=y))
    return tuple(light)


def faint(rng: Generator, vis_mag: float, z: float) -> tuple[Light, ...]:
    """Draw a small galaxy of the field."""
    shape: Shape = pick(rng, (0.6, disc), (0.2, elliptical), (0.1, edge_on), (0.1, spiral))
    return shape(rng, vis_mag, z)


def _inclined(rng: Generator, cos_inclination: float) -> float:
    """Draw the axis ratio of an inclined disc of finite thickness (Hubble 1926)."""
    thickness = rng.uniform(0.15, 0.3)
    return float(np.sqrt(cos_inclination**2 + thickness**2 * (1 - cos_inclination**2)))


def disc_light(
    sed: Sed, semi_major: float, q: float, angle: float, arms: SpiralArms | None = None, x: float = 0.0, y: float = 0.0
) -> Sersic:
    """Return an exponential disc, with its inclination given by its axis ratio."""
    return Sersic(x, y, semi_major * float(np.sqrt(q)), 1.0, q, angle, sed, arms)


def bulge_light(rng: Generator, sed: Sed, semi_major: float, q: float, angle: float) -> Sersic:
    """Draw a bulge, rounder than its disc and about a fifth of its size."""
    return Sersic(0.0, 0.0, semi_major * rng.uniform(0.1, 0.3), rng.uniform(1.5, 4.0), (1 + q) / 2, angle, sed)


def bar_light(rng: Generator, sed: Sed, semi_major: float, angle: float) -> Sersic:
    """Draw a bar, with a flat profile along its length and a sharp end."""
    bar_q = rng.uniform(0.25, 0.4)
    return Sersic(0.0, 0.0, 0.7 * semi_major * float(np.sqrt(bar_q)), 0.5, bar_q, angle, sed)
