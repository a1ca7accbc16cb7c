"""Build galaxies and stars that fool lens finders: one builder for each look-alike, at a given or drawn magnitude."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.random import Generator

from simulation.population.crowds import blue_companions, companions, group, merger, moved, star
from simulation.population.rings import ring_galaxy
from simulation.population.shapes import (
    Shape,
    disc,
    early_type_redshift,
    edge_on,
    elliptical,
    faint,
    late_type_redshift,
    spiral,
)
from simulation.systems import Light, Lookalike

Builder = Callable[[Generator, float | None, float], tuple[float, tuple[Light, ...]]]
"""Function of (rng, vis_mag, detector_angle_deg) that returns redshift and light. The magnitude is that of all components
together; if None, it is drawn."""

LENS_VIS_MAGS = (17.5, 20.9, 22.5)
"""Smallest, most frequent and largest VIS magnitude of lens galaxies; the median is 20.4."""
FAINT_VIS_MAGS = (22.0, 25.5)
_COUNTS_FROM_VIS_MAG = 19.0
_STAR_VIS_MAGS = (15.0, 20.5, 22.0)
_STAR_Z = 1e-4
"""Redshift of a star: the Doppler shift of 30 km/s."""


def total_vis_mag(light: tuple[Light, ...]) -> float:
    """Return the VIS magnitude of all components together."""
    return -2.5 * float(np.log10(sum(10 ** (-0.4 * part.sed.vis_mag) for part in light)))


def _build_star(rng: Generator, vis_mag: float | None, detector_angle_deg: float) -> tuple[float, tuple[Light, ...]]:
    mag = rng.triangular(*_STAR_VIS_MAGS) if vis_mag is None else vis_mag
    return _STAR_Z, placed(rng, star(rng, mag, detector_angle_deg), mag)


def _galaxy(shape: Shape, redshift: Callable[[Generator, float], float], draw_mag: Callable[[Generator], float]) -> Builder:
    """Return the builder of a shape, at redshifts and magnitudes that these functions draw."""

    def build(rng: Generator, vis_mag: float | None, detector_angle_deg: float) -> tuple[float, tuple[Light, ...]]:
        del detector_angle_deg  # only stars depend on it
        mag = draw_mag(rng) if vis_mag is None else vis_mag
        z = redshift(rng, mag)
        return z, placed(rng, shape(rng, mag, z), mag)

    return build


def placed(rng: Generator, light: tuple[Light, ...], vis_mag: float) -> tuple[Light, ...]:
    """Bring light to the magnitude, and off the centre like catalogue positions: by 0.06 arcsec, one in five by 0.2."""
    x, y = rng.normal(0, 0.2 if rng.random() < 0.2 else 0.06, 2)
    return moved(light, float(x), float(y), vis_mag - total_vis_mag(light))


def _down_to(faintest: float) -> Callable[[Generator], float]:
    """Return a function that draws half of the magnitudes as those of lenses, and half from the counts down to `faintest`.

    Shapes of fainter galaxies are not recognisable.
    """

    def draw(rng: Generator) -> float:
        if rng.random() < 0.5:
            return rng.triangular(*LENS_VIS_MAGS)
        return _count_mag(rng, _COUNTS_FROM_VIS_MAG, faintest)

    return draw


def _count_mag(rng: Generator, brightest: float, faintest: float) -> float:
    """Draw a magnitude from counts that grow as 10^(0.3 mag)."""
    return float(np.log10(rng.uniform(10 ** (0.3 * brightest), 10 ** (0.3 * faintest))) / 0.3)


BUILDERS: Mapping[Lookalike, Builder] = MappingProxyType(
    {
        "elliptical": _galaxy(elliptical, early_type_redshift, _down_to(24.5)),
        "disc": _galaxy(disc, late_type_redshift, _down_to(24.5)),
        "spiral": _galaxy(spiral, late_type_redshift, _down_to(23.5)),
        "ring_galaxy": _galaxy(ring_galaxy, late_type_redshift, _down_to(23.5)),
        "edge_on": _galaxy(edge_on, late_type_redshift, _down_to(24.5)),
        "merger": _galaxy(merger, late_type_redshift, _down_to(23.5)),
        "companions": _galaxy(companions, early_type_redshift, _down_to(23.5)),
        "blue_companions": _galaxy(blue_companions, early_type_redshift, _down_to(23.0)),
        "group": _galaxy(group, early_type_redshift, _down_to(23.5)),
        "faint": _galaxy(faint, late_type_redshift, lambda rng: _count_mag(rng, *FAINT_VIS_MAGS)),
        "star": _build_star,
    }
)
"""Builders of all look-alikes except a lens galaxy without arcs, and the artefact, a flaw of the image."""
