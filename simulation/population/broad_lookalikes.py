"""Look-alikes of the preset `broad`, as wide as its lenses, so that no property alone tells lenses from others.

Rings have any strength, colour and radius, nuclei and companions any distance from a quarter of an arcsec on, and companions
any brightness and colour. Shapes have the interface of `simulation.population.shapes`.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np
from numpy.random import Generator

from simulation.population.colours import early_type_sed, star_forming_sed
from simulation.population.crowds import companion, debris, moved
from simulation.population.galaxies import BUILDERS, Builder, placed
from simulation.population.rings import arc, clumps_along, knots_on
from simulation.population.shapes import (
    Shape,
    disc,
    disc_light,
    early_type_radius_arcsec,
    early_type_redshift,
    edge_on,
    elliptical,
    late_type_redshift,
    on_ellipse,
    pick,
    spiral,
)
from simulation.systems import Annulus, Light, Lookalike, Sed, Sersic

BROAD_VIS_MAGS = (17.5, 21.3, 24.8)
"""Smallest, most frequent and largest VIS magnitude: those of the preset's lens galaxies, which may be 2.5 mag fainter."""
RING_RADII_ARCSEC = (0.35, 3.8)
RING_SHARES = (0.05, 0.85)
"""Ranges of rings' radii and shares of the light, both uniform in the logarithm."""
NUCLEI_ARCSEC = (0.25, 2.5)
COMPANIONS_ARCSEC = (0.35, 3.5)
"""Ranges of distances, uniform in the logarithm: arcs of lenses lie as far out."""
_MAX_RADIUS_ARCSEC = 4.0


def broad_ring(rng: Generator, vis_mag: float, z: float) -> tuple[Light, ...]:
    """Draw a ring, or part of one, of any strength and colour about a core, with or without a disc, knots and a second ring.

    Half of the cores are smaller than the ring; the others have the size of an early-type galaxy, like deflectors. Two in
    five rings are mostly clumps, as those of collisional ring galaxies are (Elmegreen & Elmegreen 2006, ApJ 651, 676).
    """
    radius, share = _log_uniform(rng, *RING_RADII_ARCSEC), _log_uniform(rng, *RING_SHARES)
    q, angle = float(rng.uniform(0.4, 1.0)), float(rng.uniform(0, np.pi))
    x, y = on_ellipse(radius * abs(float(rng.normal(0, 0.12))), 1.0, 0.0, float(rng.uniform(0, 2 * np.pi)))
    ring_sed = _any_sed(rng, vis_mag, z).share(share)
    in_disc = float(rng.uniform(0.05, 0.6)) * (1 - share) if rng.random() < 0.6 else 0.0
    core = _core(rng, early_type_sed(vis_mag, z, rng).share(1 - share - in_disc), radius, q, angle)
    if rng.random() < 0.35:
        rings = [arc(rng, ring_sed, radius * float(rng.uniform(0.9, 1.1)), q, angle, x, y) for _ in range(rng.integers(1, 3))]
    else:
        rings = [_whole_ring(rng, ring_sed, radius, q, angle, x, y)]
    if rng.random() < 0.15:
        outer = min(radius * float(rng.uniform(1.4, 2.2)), _MAX_RADIUS_ARCSEC)
        rings.append(
            _whole_ring(rng, _any_sed(rng, vis_mag, z).share(share * float(rng.uniform(0.2, 1.0))), outer, q, angle, x, y)
        )
    light: list[Light] = [core, *rings]
    if rng.random() < 0.4:
        in_clumps = float(rng.uniform(0.3, 0.95))
        light[1] = replace(rings[0], sed=rings[0].sed.share(1 - in_clumps))
        light += clumps_along(rng, rings[0].sed.share(in_clumps), rings[0], int(rng.integers(8, 41)))
    if in_disc:
        sed = star_forming_sed(vis_mag, z, rng).share(in_disc)
        light.append(disc_light(sed, radius * float(rng.uniform(0.6, 1.4)) / float(np.sqrt(q)), q, angle))
    return (*light, *knots_on(rng, ring_sed, rings[0], int(rng.integers(0, 10))))


def broad_merger(rng: Generator, vis_mag: float, z: float) -> tuple[Light, ...]:
    """Draw two or three galaxies at one redshift, as close as 0.25 arcsec, most with tails, shells or a common envelope."""
    separation, direction = _log_uniform(rng, *NUCLEI_ARCSEC), float(rng.uniform(0, 2 * np.pi))
    first = on_ellipse(separation * float(rng.uniform(0, 0.5)), 1.0, 0.0, direction + np.pi)
    nuclei = [first, (first[0] + separation * float(np.cos(direction)), first[1] + separation * float(np.sin(direction)))]
    if rng.random() < 0.3:
        nuclei.append(on_ellipse(_log_uniform(rng, *NUCLEI_ARCSEC), 1.0, 0.0, float(rng.uniform(0, 2 * np.pi))))
    light: list[Light] = []
    for i, nucleus in enumerate(nuclei):
        shape: Shape = pick(rng, (0.4, elliptical), (0.35, disc), (0.15, spiral), (0.1, edge_on))
        mag = vis_mag + (float(rng.uniform(0, 2.5)) if i else 0.0)
        parts = moved(shape(rng, mag, z)[:8], *nucleus)
        light += [part for part in parts if np.hypot(part.x_arcsec, part.y_arcsec) < _MAX_RADIUS_ARCSEC]
    stripped = _any_sed(rng, vis_mag, z)
    return (*light, *debris(rng, stripped, (nuclei[0], nuclei[1]), separation))


def broad_companions(rng: Generator, vis_mag: float, z: float) -> tuple[Light, ...]:
    """Draw a galaxy of any shape with one to five companions of any colour, as bright as itself or up to 4.5 mag fainter."""
    shape: Shape = pick(rng, (0.5, elliptical), (0.2, disc), (0.15, spiral), (0.15, edge_on))
    light = list(shape(rng, vis_mag, z)[:16])
    is_tangential = rng.random() < 0.4
    for _ in range(rng.integers(1, 6)):
        mag = min(vis_mag + float(rng.uniform(0, 4.5)), 25.8)
        sed = _any_sed(rng, mag, late_type_redshift(rng, mag))
        light.append(companion(rng, sed, _log_uniform(rng, *COMPANIONS_ARCSEC), tangential=is_tangential))
    return tuple(light)


def broad_blue_companions(rng: Generator, vis_mag: float, z: float) -> tuple[Light, ...]:
    """Draw a red elliptical with one to five blue galaxies at about one distance, most along the tangent, often alike."""
    light = list(elliptical(rng, vis_mag, z))
    distance, scatter = _log_uniform(rng, *COMPANIONS_ARCSEC), pick(rng, (0.65, 0.12), (0.35, 0.4))
    mag = min(vis_mag + float(rng.uniform(0.3, 4.5)), 25.5)
    sed = star_forming_sed(mag, max(late_type_redshift(rng, mag), z), rng, 0.0)
    is_one_colour, is_tangential = rng.random() < 0.5, rng.random() < 0.65
    for _ in range(rng.integers(1, 6)):
        mag = min(vis_mag + float(rng.uniform(0.3, 4.5)), 25.8)
        if not is_one_colour:
            sed = star_forming_sed(mag, max(late_type_redshift(rng, mag), z), rng, 0.0)
        at = float(np.clip(distance * rng.lognormal(0, scatter), *COMPANIONS_ARCSEC))
        light.append(companion(rng, sed.dimmed(mag - sed.vis_mag), at, tangential=is_tangential))
    return tuple(light)


def broad_group(rng: Generator, vis_mag: float, z: float) -> tuple[Light, ...]:
    """Draw two to six galaxies at one redshift, most of early type, as close as 0.3 arcsec to the first."""
    light = list(elliptical(rng, vis_mag, z))
    for _ in range(rng.integers(1, 6)):
        shape: Shape = pick(rng, (0.8, elliptical), (0.2, disc))
        offset = on_ellipse(_log_uniform(rng, 0.3, _MAX_RADIUS_ARCSEC), 1.0, 0.0, float(rng.uniform(0, 2 * np.pi)))
        light += moved(shape(rng, vis_mag + float(rng.uniform(-0.2, 3.0)), z)[:4], *offset)
    return tuple(light)


def _any_sed(rng: Generator, vis_mag: float, z: float) -> Sed:
    """Draw a young, a dusty or an old population."""
    kind = pick(rng, (0.45, "young"), (0.3, "dusty"), (0.25, "old"))
    if kind == "old":
        return early_type_sed(vis_mag, z, rng)
    return star_forming_sed(vis_mag, z, rng, float(rng.gamma(1.2, 0.08) if kind == "young" else rng.uniform(0.2, 0.9)))


def _core(rng: Generator, sed: Sed, ring_radius: float, ring_q: float, ring_angle: float) -> Sersic:
    """Draw the core of a ring: small and aligned with the ring, or an early-type galaxy of any size and orientation."""
    if rng.random() < 0.5:
        radius, index = ring_radius * float(rng.uniform(0.12, 0.6)), float(rng.uniform(1.0, 5.0))
        return Sersic(0.0, 0.0, radius, index, float(rng.uniform(ring_q, 1.0)), ring_angle, sed)
    radius, index = early_type_radius_arcsec(rng, sed.vis_mag), float(rng.uniform(2.5, 6.0))
    return Sersic(0.0, 0.0, radius, index, float(rng.uniform(0.5, 1.0)), float(rng.uniform(0, np.pi)), sed)


def _whole_ring(rng: Generator, sed: Sed, radius: float, q: float, angle: float, x: float, y: float) -> Annulus:
    return Annulus(x, y, radius, radius * float(rng.uniform(0.05, 0.25)), q, angle, sed)


def _log_uniform(rng: Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _builder(shape: Shape, redshift_of: str) -> Builder:
    """Return the builder of a shape at magnitudes of the preset's lens galaxies, and at redshifts of early or late types."""
    redshift = {"early": early_type_redshift, "late": late_type_redshift}[redshift_of]

    def build(rng: Generator, vis_mag: float | None, detector_angle_deg: float) -> tuple[float, tuple[Light, ...]]:
        del detector_angle_deg  # only stars depend on it
        mag = float(rng.triangular(*BROAD_VIS_MAGS)) if vis_mag is None else vis_mag
        z = redshift(rng, mag)
        return z, placed(rng, shape(rng, mag, z), mag)

    return build


BROAD_BUILDERS: Mapping[Lookalike, Builder] = MappingProxyType(
    {
        **BUILDERS,
        "elliptical": _builder(elliptical, "early"),
        "disc": _builder(disc, "late"),
        "spiral": _builder(spiral, "late"),
        "edge_on": _builder(edge_on, "late"),
        "ring_galaxy": _builder(broad_ring, "late"),
        "merger": _builder(broad_merger, "late"),
        "companions": _builder(broad_companions, "early"),
        "blue_companions": _builder(broad_blue_companions, "early"),
        "group": _builder(broad_group, "early"),
    }
)
"""Builders as in `galaxies.BUILDERS`; the faint galaxy, the star and the artefact are those of `euclid`."""
