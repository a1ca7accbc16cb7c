"""Changes of one thing of a system before the telescope sees it: its sources, deflector, surroundings or place."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.random import Generator

from scanner.vocabulary.bands import EUCLID
from simulation.population.broad import draw_members_inside
from simulation.population.colours import early_type_sed, star_forming_sed, star_sed
from simulation.population.draw import without_sources
from simulation.population.forecast import draw_second_source
from simulation.systems import Light, Mass, PointSource, Sed, Sersic, System

Change = Callable[[System, Generator], System]
"""Function that returns the changed system; it draws what the change leaves open from the generator."""

_TILT = {"VIS": 0.0, "Y": 1 / 3, "J": 2 / 3, "H": 1.0}
"""Share of a change of VIS - H by which each band becomes brighter."""
_STAR_DISTANCES_ARCSEC = (3.0, 4.5)


def unchanged(system: System, rng: Generator) -> System:
    """Return the system itself."""
    del rng
    return system


def brighter_source(mag: float) -> Change:
    """Return the change that makes all sources brighter, and with them the ratio of arcs to lens; fainter if `mag` < 0."""

    def change(system: System, rng: Generator) -> System:
        del rng
        return replace(system, source1=_dimmed(system.source1, -mag), source2=_dimmed(system.source2, -mag))

    return change


def brighter_source_in(band: str, mag: float) -> Change:
    """Return the change that makes all sources brighter in one band alone; fainter if `mag` < 0."""

    def sed_of(sed: Sed) -> Sed:
        return _brightened(sed, {band: mag})

    def change(system: System, rng: Generator) -> System:
        del rng
        return replace(system, source1=_with_seds(system.source1, sed_of), source2=_with_seds(system.source2, sed_of))

    return change


def redder_source(mag: float) -> Change:
    """Return the change that adds `mag` to VIS - H of all sources, and a part of it to VIS - Y and VIS - J."""

    def change(system: System, rng: Generator) -> System:
        del rng
        source1, source2 = (_with_seds(light, lambda sed: _tilted(sed, mag)) for light in (system.source1, system.source2))
        return replace(system, source1=source1, source2=source2)

    return change


def brighter_deflector(mag: float) -> Change:
    """Return the change that makes the galaxy brighter; fainter if `mag` < 0."""

    def change(system: System, rng: Generator) -> System:
        del rng
        return replace(system, galaxy=_dimmed(system.galaxy, -mag))

    return change


def redder_deflector(mag: float) -> Change:
    """Return the change that adds `mag` to VIS - H of the galaxy, and a part of it to VIS - Y and VIS - J."""

    def change(system: System, rng: Generator) -> System:
        del rng
        return replace(system, galaxy=_with_seds(system.galaxy, lambda sed: _tilted(sed, mag)))

    return change


def with_axis_ratio(axis_ratio: float) -> Change:
    """Return the change of the axis ratios of the deflector's mass and of all its light."""

    def change(system: System, rng: Generator) -> System:
        del rng
        galaxy = tuple(replace(part, axis_ratio=axis_ratio) if isinstance(part, Sersic) else part for part in system.galaxy)
        return replace(system, galaxy=galaxy, masses=(replace(system.masses[0], axis_ratio=axis_ratio), *system.masses[1:]))

    return change


def galaxies_inside(n: int) -> Change:
    """Return the change that adds `n` galaxies with mass in and about the ring."""

    def change(system: System, rng: Generator) -> System:
        light, masses = draw_members_inside(rng, system, n)
        return replace(system, galaxy=(*system.galaxy, *light), masses=(*system.masses, *masses))

    return change


def larger(factor: float) -> Change:
    """Return the change to another Einstein radius: images keep their pattern about the deflector, sources their size.

    Of a compound lens, the mass of the nearer source moves with its light.
    """

    def change(system: System, rng: Generator) -> System:
        del rng
        deflector = system.masses[0]
        sigma = deflector.velocity_dispersion_km_s * float(np.sqrt(factor))
        centre = deflector.x_arcsec, deflector.y_arcsec

        def away(light: tuple[Light, ...]) -> tuple[Light, ...]:
            if not light:
                return light
            dx, dy = ((factor - 1) * (at - middle) for at, middle in zip(_middle(light), centre, strict=True))
            return tuple(replace(part, x_arcsec=part.x_arcsec + dx, y_arcsec=part.y_arcsec + dy) for part in light)

        def also_away(mass: Mass) -> Mass:
            if mass.z <= deflector.z:
                return mass
            x, y = (c + factor * (at - c) for at, c in zip((mass.x_arcsec, mass.y_arcsec), centre, strict=True))
            return replace(mass, x_arcsec=x, y_arcsec=y)

        masses = (replace(deflector, velocity_dispersion_km_s=sigma), *map(also_away, system.masses[1:]))
        source1, source2 = away(system.source1), away(system.source2)
        return replace(system, masses=masses, velocity_dispersion_km_s=sigma, source1=source1, source2=source2)

    return change


def red_source(system: System, rng: Generator) -> System:
    """Give every component of the nearer source the colours of an early-type galaxy."""
    return _recoloured(system, lambda mag, z: early_type_sed(mag, z, rng))


def blue_source(system: System, rng: Generator) -> System:
    """Give every component of the nearer source the colours of a star-forming galaxy without dust."""
    return _recoloured(system, lambda mag, z: star_forming_sed(mag, z, rng, 0.0))


def no_arcs(system: System, rng: Generator) -> System:
    """Take the sources away, and mass in them."""
    del rng
    return without_sources(system)


def second_source(system: System, rng: Generator) -> System:
    """Put another source behind that of a single lens, which gets mass."""
    return draw_second_source(rng, system)


def bright_star(vis_mag: float) -> Change:
    """Return the change that puts a star beside the system, away from the arcs and inside a 10 arcsec stamp."""

    def change(system: System, rng: Generator) -> System:
        distance, direction = rng.uniform(*_STAR_DISTANCES_ARCSEC), rng.uniform(0, 2 * np.pi)
        at = float(distance * np.cos(direction)), float(distance * np.sin(direction))
        return replace(system, neighbours=(*system.neighbours, PointSource(*at, star_sed(vis_mag, rng))))

    return change


def off_centre(distance_arcsec: float) -> Change:
    """Return the change that moves the whole field in a direction at random."""

    def change(system: System, rng: Generator) -> System:
        direction = rng.uniform(0, 2 * np.pi)
        return system.moved(*(float(distance_arcsec * f(direction)) for f in (np.cos, np.sin)))

    return change


def turned(angle_deg: float) -> Change:
    """Return the change that turns the whole field under the telescope, whose PSF and noise stay."""

    def change(system: System, rng: Generator) -> System:
        del rng
        return system.turned(float(np.radians(angle_deg)))

    return change


def _recoloured(system: System, sed_of: Callable[[float, float], Sed]) -> System:
    """Give every component of the source other colours at the same VIS magnitude."""
    z = system.z_source1 or 0.0
    return replace(system, source1=tuple(replace(part, sed=sed_of(part.sed.vis_mag, z)) for part in system.source1))


def _dimmed(light: tuple[Light, ...], mag: float) -> tuple[Light, ...]:
    return _with_seds(light, lambda sed: sed.dimmed(mag))


def _with_seds(light: tuple[Light, ...], sed_of: Callable[[Sed], Sed]) -> tuple[Light, ...]:
    return tuple(replace(part, sed=sed_of(part.sed)) for part in light)


def _tilted(sed: Sed, mag: float) -> Sed:
    return _brightened(sed, {band: share * mag for band, share in _TILT.items()})


def _brightened(sed: Sed, mags: dict[str, float]) -> Sed:
    return Sed(*(sed.mag(band) - mags.get(band, 0.0) for band in EUCLID))


def _middle(light: tuple[Light, ...]) -> tuple[float, float]:
    first = light[0]
    if not isinstance(first, Sersic):
        raise TypeError(f"a source's first component must be a Sersic profile, got {type(first).__name__}")
    return first.x_arcsec, first.y_arcsec
