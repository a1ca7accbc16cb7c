"""Sources of the preset `broad`: galaxies of any shape and colour, mergers, clump clusters, and quasars in their hosts."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.random import Generator

from simulation.population.colours import quasar_sed, star_forming_sed
from simulation.population.crowds import merger, moved
from simulation.population.forecast_rows import Row
from simulation.population.galaxies import total_vis_mag
from simulation.population.lens_sources import draw_knot, draw_source
from simulation.population.rings import ring_galaxy
from simulation.population.shapes import Shape, disc, edge_on, pick, spiral
from simulation.systems import Annulus, Light, Picture, PointSource, Sersic

QUASAR_RADIUS_ARCSEC = 0.012
"""Half-light radius of a quasar: far below a pixel, yet a profile, because points have no surface brightness to lens."""
_QUASAR_SHARES = (0.3, 0.97)
"""Range of a quasar's share of its galaxy's light in VIS."""
_CLUMPS, _IN_CLUMPS = (5, 12), (0.4, 0.8)
"""Number of clumps of a clump cluster (Elmegreen et al. 2005), and the share of light in them."""
_YOUNG_SHARE, _YOUNG_DUST, _YOUNG_VIS_MAG = 0.4, (0.0, 0.15), 26.0
"""Share of sources that have the colour of a young faint galaxy, its E(B-V) and its magnitude: bright arcs are often blue."""
_SIZES = (0.5, 1.2)
"""Sizes of distant galaxies in units of those of nearer ones of the same magnitude."""


def draw_broad_source(rng: Generator, x: float, y: float, z: float, row: Row, red_share: float) -> tuple[Light, ...]:
    """Draw the source of a row; its first component is a Sersic profile at the position.

    `red_share` is the probability that a smooth or clumpy source is red, unless the source is young.
    """
    light = _draw(rng, x, y, z, row, red_share)
    return _young(rng, light, z) if rng.random() < _YOUNG_SHARE else light


def _young(rng: Generator, light: tuple[Light, ...], z: float) -> tuple[Light, ...]:
    """Give all components the colour of one young galaxy with little dust."""
    sed = star_forming_sed(_YOUNG_VIS_MAG, z, rng, float(rng.uniform(*_YOUNG_DUST)))
    return tuple(replace(part, sed=sed.dimmed(part.sed.vis_mag - sed.vis_mag)) for part in light)


def _draw(rng: Generator, x: float, y: float, z: float, row: Row, red_share: float) -> tuple[Light, ...]:
    kind = pick(rng, (0.46, "smooth"), (0.22, "whole"), (0.12, "merger"), (0.12, "clumps"), (0.08, "quasar"))
    if kind == "smooth":
        return draw_source(rng, x, y, z, row, red_share)
    if kind == "clumps":
        return _clump_cluster(rng, x, y, z, row)
    if kind == "quasar":
        return _quasar(rng, x, y, z, row)
    shape: Shape = merger if kind == "merger" else pick(rng, (0.4, disc), (0.35, spiral), (0.15, edge_on), (0.1, ring_galaxy))
    light = scaled(shape(rng, row.source_vis_mag, z), float(rng.uniform(*_SIZES)))
    first = light[0]
    return moved(light, x - first.x_arcsec, y - first.y_arcsec, row.source_vis_mag - total_vis_mag(light))


def scaled(light: Iterable[Light], factor: float) -> tuple[Light, ...]:
    """Return components with all lengths and distances from the origin multiplied by a factor, with the same flux.

    Raises:
        TypeError: a component is a star or its rays.
    """
    return tuple(_scaled(part, factor) for part in light)


def _scaled(part: Light, factor: float) -> Light:
    x, y = factor * part.x_arcsec, factor * part.y_arcsec
    if isinstance(part, Sersic | Picture):
        return replace(part, x_arcsec=x, y_arcsec=y, half_light_radius_arcsec=factor * part.half_light_radius_arcsec)
    if isinstance(part, Annulus):
        radius, width = factor * part.radius_arcsec, factor * part.width_arcsec
        return replace(part, x_arcsec=x, y_arcsec=y, radius_arcsec=radius, width_arcsec=width)
    raise TypeError(f"only galaxies can be scaled, got {type(part).__name__}")


def _clump_cluster(rng: Generator, x: float, y: float, z: float, row: Row) -> tuple[Light, ...]:
    """Draw a faint disc with most of its light in clumps, as galaxies at redshifts above 1 often are."""
    n, share = int(rng.integers(*_CLUMPS)), float(rng.uniform(*_IN_CLUMPS))
    sed = star_forming_sed(row.source_vis_mag, z, rng)
    angle, radius = float(rng.uniform(0, np.pi)), row.source_half_light_radius_arcsec
    whole = Sersic(x, y, radius, float(rng.uniform(0.5, 1.2)), row.source_axis_ratio, angle, sed.share(1 - share))
    weights = rng.dirichlet(np.full(n, 1.5))
    return (whole, *(draw_knot(rng, whole, z, row.source_vis_mag, max(share * float(weight), 1e-4)) for weight in weights))


def _quasar(rng: Generator, x: float, y: float, z: float, row: Row) -> tuple[Light, ...]:
    """Draw a quasar in the middle of a smooth galaxy."""
    share = float(rng.uniform(*_QUASAR_SHARES))
    host = draw_source(rng, x, y, z, row, 0.5)
    nucleus = Sersic(x, y, QUASAR_RADIUS_ARCSEC, 0.5, 1.0, 0.0, quasar_sed(row.source_vis_mag, z, rng).share(share))
    return (*moved(host, 0.0, 0.0, -2.5 * float(np.log10(1 - share))), nucleus)


def reach_arcsec(light: Iterable[Light], x: float, y: float, n_radii: float) -> float:
    """Return the largest distance from a point that light reaches, `n_radii` half-light radii beyond components' centres."""
    return max(float(np.hypot(part.x_arcsec - x, part.y_arcsec - y)) + n_radii * radius_arcsec(part) for part in light)


def radius_arcsec(part: Light) -> float:
    """Return the half-light radius of a component, the radius of a ring, the length of a ray; 0 for a star."""
    if isinstance(part, Sersic | Picture):
        return part.half_light_radius_arcsec
    return 0.0 if isinstance(part, PointSource) else part.radius_arcsec if isinstance(part, Annulus) else part.length_arcsec
