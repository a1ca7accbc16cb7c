"""Several galaxies together, and stars, about the origin: shapes with the interface of `simulation.population.shapes`."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.random import Generator

from simulation.population.colours import early_type_sed, star_forming_sed, star_sed
from simulation.population.shapes import Shape, disc, edge_on, elliptical, late_type_redshift, on_ellipse, pick, shells, spiral
from simulation.systems import Annulus, Light, PointSource, Sed, Sersic, Spikes

COMPANION_RADII_ARCSEC = (0.6, 3.0)
BLUE_RADII_ARCSEC = (0.6, 2.5)
"""Distances of blue companions: the same as those of lensed images."""
_MAX_RADIUS_ARCSEC = 3.2
"""Largest distance of galaxies of a group, of knots in mergers, and of the centre of a tidal tail."""
_FAINTEST_VIS_MAG = 25.2
"""Faintest magnitude of companions, so that they are visible."""
_SPIKED_VIS_MAG = 19.5
"""Magnitude below which stars have rays above the noise."""


def merger(rng: Generator, vis_mag: float, z: float) -> tuple[Light, ...]:
    """Draw two galaxies at one redshift; most have tidal tails, shells or a common envelope of 2-15 % of the light."""
    separation, direction = rng.uniform(0.4, 2.5), rng.uniform(0, 2 * np.pi)
    # A catalogue's position is that of the brighter nucleus, or between the two if they blend.
    first = on_ellipse(separation * rng.uniform(0, 0.5), 1.0, 0.0, direction + np.pi)
    second = first[0] + separation * float(np.cos(direction)), first[1] + separation * float(np.sin(direction))
    light: list[Light] = []
    for nucleus, mag in ((first, vis_mag), (second, vis_mag + rng.uniform(0, 1.75))):
        shape: Shape = pick(rng, (0.4, elliptical), (0.4, disc), (0.2, spiral))
        # Knots come last: a few of them suffice.
        parts = moved(shape(rng, mag, z)[:8], *nucleus)
        light += [part for part in parts if np.hypot(part.x_arcsec, part.y_arcsec) < _MAX_RADIUS_ARCSEC]
    stripped = early_type_sed(vis_mag, z, rng) if rng.random() < 0.4 else star_forming_sed(vis_mag, z, rng)
    return (*light, *debris(rng, stripped, (first, second), separation))


def companions(rng: Generator, vis_mag: float, z: float) -> tuple[Light, ...]:
    """Draw a galaxy of any shape and one to four small ones, some of its own colour, some along the tangent by chance."""
    shape: Shape = pick(rng, (0.45, elliptical), (0.2, disc), (0.2, spiral), (0.15, edge_on))
    light = list(shape(rng, vis_mag, z)[:16])
    own_colour = light[0].sed
    for _ in range(rng.integers(1, 5)):
        mag = _companion_mag(rng, vis_mag, 0.8)
        sed = own_colour.dimmed(mag - own_colour.vis_mag)
        if rng.random() < 0.6:
            make = star_forming_sed if rng.random() < 0.7 else early_type_sed
            sed = make(mag, late_type_redshift(rng, mag), rng)
        light.append(companion(rng, sed, rng.uniform(*COMPANION_RADII_ARCSEC), tangential=rng.random() < 0.35))
    return tuple(light)


def blue_companions(rng: Generator, vis_mag: float, z: float) -> tuple[Light, ...]:
    """Draw a red elliptical with one to four blue galaxies, often at one radius and along the tangent, or of one colour."""
    light = list(elliptical(rng, vis_mag, z))
    radius, scatter = rng.uniform(*BLUE_RADII_ARCSEC), pick(rng, (0.65, 0.12), (0.35, 0.5))
    mag = _companion_mag(rng, vis_mag, 1.5)
    # Young galaxies are bluest where their ultraviolet light falls into the bands.
    sed = star_forming_sed(mag, max(late_type_redshift(rng, mag), z), rng, 0.0)
    one_colour, tangential = rng.random() < 0.5, rng.random() < 0.65
    for _ in range(rng.integers(1, 5)):
        mag = _companion_mag(rng, vis_mag, 1.5)
        if not one_colour:
            sed = star_forming_sed(mag, max(late_type_redshift(rng, mag), z), rng, 0.0)
        distance = float(np.clip(radius * rng.lognormal(0, scatter), *BLUE_RADII_ARCSEC))
        light.append(companion(rng, sed.dimmed(mag - sed.vis_mag), distance, tangential=tangential))
    return tuple(light)


def group(rng: Generator, vis_mag: float, z: float) -> tuple[Light, ...]:
    """Draw two to five early-type galaxies at one redshift, the brightest in the middle."""
    light = list(elliptical(rng, vis_mag, z))
    for _ in range(rng.integers(1, 5)):
        offset = on_ellipse(rng.uniform(0.8, _MAX_RADIUS_ARCSEC), 1.0, 0.0, rng.uniform(0, 2 * np.pi))
        light += moved(elliptical(rng, vis_mag + rng.uniform(0.1, 2.3), z), *offset)
    return tuple(light)


def star(rng: Generator, vis_mag: float, detector_angle_deg: float) -> tuple[Light, ...]:
    """Draw a star, one in eight double; bright stars have rays that turn with the detector."""
    light = _single_star(rng, vis_mag, detector_angle_deg)
    if rng.random() < 1 / 8:
        offset = on_ellipse(rng.uniform(0.25, 1.5), 1.0, 0.0, rng.uniform(0, 2 * np.pi))
        light += moved(_single_star(rng, vis_mag + rng.uniform(0, 3), detector_angle_deg), *offset)
    return light


def moved(light: Iterable[Light], dx_arcsec: float, dy_arcsec: float, mag: float = 0.0) -> tuple[Light, ...]:
    """Return the same components shifted, and fainter by `mag` magnitudes."""
    return tuple(
        replace(part, x_arcsec=part.x_arcsec + dx_arcsec, y_arcsec=part.y_arcsec + dy_arcsec, sed=part.sed.dimmed(mag))
        for part in light
    )


def debris(
    rng: Generator, sed: Sed, nuclei: tuple[tuple[float, float], tuple[float, float]], separation: float
) -> tuple[Light, ...]:
    """Draw tails, envelopes and shells of a merger; `sed` is that of all the galaxies' light."""
    n_tails = pick(rng, (0.15, 0), (0.35, 1), (0.4, 2), (0.1, 3))
    n_envelopes = pick(rng, (0.7, 0), (0.3, 1))
    light: list[Light] = []
    if n_tails + n_envelopes:
        shares = rng.uniform(0.02, 0.14) * rng.dirichlet(np.full(n_tails + n_envelopes, 3.0))
        light += [_tail(rng, sed.share(share), *nuclei[i % 2]) for i, share in enumerate(shares[:n_tails])]
        for share in shares[n_tails:]:
            radius, q = separation * rng.uniform(0.6, 1.2), rng.uniform(0.5, 1.0)
            light.append(Sersic(0.0, 0.0, radius, 1.0, q, rng.uniform(0, np.pi), sed.share(share)))
    if rng.random() < 0.25:
        light += moved(shells(rng, sed, separation * rng.uniform(0.4, 0.8), rng.uniform(0, np.pi)), *nuclei[0])
    return tuple(light)


def _tail(rng: Generator, sed: Sed, x: float, y: float) -> Annulus:
    """Draw a piece of an ellipse that starts at a nucleus, the end of its major axis, and curves away."""
    angle, q = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 1.0)
    semi_major = min(rng.uniform(0.8, 2.2), _MAX_RADIUS_ARCSEC - float(np.hypot(x, y)))
    dx, dy = on_ellipse(semi_major, 1.0, 0.0, angle)
    radius, spread = semi_major * float(np.sqrt(q)), rng.uniform(0.4, 0.9)
    width, middle = radius * rng.uniform(0.06, 0.14), pick(rng, (1, -1), (1, 1)) * 1.2 * spread
    return Annulus(x - dx, y - dy, radius, width, q, angle, sed, middle, spread)


def companion(rng: Generator, sed: Sed, distance: float, *, tangential: bool) -> Sersic:
    """Draw a small galaxy at a distance from the origin, flat and along the tangent or of any shape."""
    azimuth = rng.uniform(0, 2 * np.pi)
    angle = azimuth + np.pi / 2 + rng.normal(0, 0.3) if tangential else rng.uniform(0, np.pi)
    q = rng.uniform(0.2, 0.6) if tangential else rng.uniform(0.3, 1.0)
    # Half-light radii of faint galaxies: 0.25 arcsec at VIS 23.
    radius = float(np.clip(10 ** (-0.6 - 0.09 * (sed.vis_mag - 23) + rng.normal(0, 0.15)), 0.06, 0.5))
    return Sersic(*on_ellipse(distance, 1.0, 0.0, azimuth), radius, rng.uniform(0.6, 1.8), q, angle, sed)


def _companion_mag(rng: Generator, host_vis_mag: float, least_difference: float) -> float:
    brightest = host_vis_mag + least_difference
    return brightest + rng.uniform(0, float(np.clip(_FAINTEST_VIS_MAG - brightest, 0.5, 4.0)))


def _single_star(rng: Generator, vis_mag: float, detector_angle_deg: float) -> tuple[Light, ...]:
    sed = star_sed(vis_mag, rng)
    if vis_mag > _SPIKED_VIS_MAG:
        return (PointSource(0.0, 0.0, sed),)
    share, length, width = rng.uniform(0.02, 0.04), rng.uniform(0.5, 1.0), rng.uniform(0.05, 0.07)
    rays = Spikes(0.0, 0.0, length, width, float(np.radians(detector_angle_deg)), sed.share(share))
    return (PointSource(0.0, 0.0, sed.share(1 - share)), rays)
