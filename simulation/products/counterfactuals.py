"""Lenses of the preset `euclid` with one thing changed: a network that has learnt lensing keeps its opinion of most of them.

Each image of a lens has the same surroundings, optics and noise; only the change differs. A source that becomes brighter, a
ring that becomes larger or more crowded, and a deflector that becomes fainter stay lenses; a lens without its sources is none.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.random import Generator, SeedSequence, default_rng

from scanner.vocabulary.geometry import Geometry, Stamps
from simulation.lensing import effective_einstein_radius_arcsec
from simulation.optics.artefacts import add_artefacts
from simulation.optics.observation import Optics, add_noise, draw_conditions
from simulation.population.broad import draw_members_inside
from simulation.population.colours import early_type_sed, star_forming_sed
from simulation.population.draw import draw_surroundings, without_sources
from simulation.population.forecast import draw_second_source
from simulation.products.render import Images, SimulationError, lens, render, stack, visible_system
from simulation.systems import Light, Sersic, System

Change = Callable[[System, Generator], System]
UNCHANGED = "unchanged"
MAX_RADIUS_ARCSEC = 1.65
"""Largest Einstein radius of the unchanged lenses: 2.5 times as large, the ring still fits a 10 arcsec stamp."""
_MAX_SOURCE_Z = 4.0
"""Largest redshift of the unchanged lenses' sources, so that there is room for another one behind."""
_MAX_TRIES = 200


def _brighter_source(mag: float) -> Change:
    def change(system: System, rng: Generator) -> System:
        del rng
        return replace(system, source1=_dimmed(system.source1, -mag), source2=_dimmed(system.source2, -mag))

    return change


def _fainter_deflector(system: System, rng: Generator) -> System:
    del rng
    return replace(system, galaxy=_dimmed(system.galaxy, 2.0))


def _members(n: int) -> Change:
    def change(system: System, rng: Generator) -> System:
        light, masses = draw_members_inside(rng, system, n)
        return replace(system, galaxy=(*system.galaxy, *light), masses=(*system.masses, *masses))

    return change


def _larger(factor: float) -> Change:
    """Return the change to another Einstein radius: images keep their pattern about the deflector, sources their size."""

    def change(system: System, rng: Generator) -> System:
        del rng
        deflector = system.masses[0]
        sigma = deflector.velocity_dispersion_km_s * float(np.sqrt(factor))
        x, y = deflector.x_arcsec, deflector.y_arcsec
        dx, dy = ((factor - 1) * (at - centre) for at, centre in zip(_middle(system.source1), (x, y), strict=True))
        source1 = tuple(replace(part, x_arcsec=part.x_arcsec + dx, y_arcsec=part.y_arcsec + dy) for part in system.source1)
        masses = (replace(deflector, velocity_dispersion_km_s=sigma), *system.masses[1:])
        return replace(system, masses=masses, source1=source1, velocity_dispersion_km_s=sigma)

    return change


def _red_source(system: System, rng: Generator) -> System:
    return _recoloured(system, lambda mag, z: early_type_sed(mag, z, rng))


def _blue_source(system: System, rng: Generator) -> System:
    return _recoloured(system, lambda mag, z: star_forming_sed(mag, z, rng, 0.0))


def _no_arcs(system: System, rng: Generator) -> System:
    del rng
    return without_sources(system)


def _second_source(system: System, rng: Generator) -> System:
    return draw_second_source(rng, system)


CHANGES: Mapping[str, Change] = MappingProxyType(
    {
        UNCHANGED: lambda system, _: system,
        **{f"source {mag} mag brighter": _brighter_source(mag) for mag in (1, 2, 3, 4)},
        "deflector 2 mag fainter": _fainter_deflector,
        **{f"{n} galaxies inside": _members(n) for n in (1, 2, 3)},
        "Einstein radius x 1.6": _larger(1.6),
        "Einstein radius x 2.5": _larger(2.5),
        "red source": _red_source,
        "blue source": _blue_source,
        "second source": _second_source,
        "no arcs": _no_arcs,
    }
)
"""Changes of a single lens, by what changes; the first changes nothing, and only the last makes a non-lens."""


@dataclass(frozen=True)
class Counterfactuals:
    """Images of the same lenses under each change: change to band to `[lens, y, x]`, in ADU/s a pixel."""

    stamps: Mapping[str, Stamps]


def counterfactuals(n: int, seed: int, geometry: Geometry, progress: Callable[[int, int], Any]) -> Counterfactuals:
    """Simulate `n` visible single lenses under every change; lens i depends on the seed and i alone.

    Raises:
        SimulationError: a lens could not be made.
    """
    made: dict[str, list[Images]] = {name: [] for name in CHANGES}
    for index in range(n):
        for name, images in changed_lens(default_rng(SeedSequence(seed, spawn_key=(index,))), geometry).items():
            made[name].append(images)
        progress(index + 1, n)
    return Counterfactuals({name: stack(images, geometry) for name, images in made.items()})


def changed_lens(rng: Generator, geometry: Geometry) -> dict[str, Images]:
    """Simulate one lens under every change.

    Raises:
        SimulationError: no lens is small enough in `_MAX_TRIES` draws.
    """
    angle = float(rng.uniform(0, 360))
    conditions = draw_conditions(rng, angle)
    optics = Optics(geometry, conditions)
    neighbours = draw_surroundings("euclid", rng, angle)
    system = _lone_lens(optics, rng)
    of_change, of_noise = rng.spawn(2)
    images = {}
    for name, change in CHANGES.items():
        changed = change(system, deepcopy(of_change))
        lensed = lens(changed, optics, must_be_visible=False) if changed.source1 else None
        clean = render(replace(changed, neighbours=neighbours), optics, lensed).clean
        noise_rng = deepcopy(of_noise)
        images[name] = add_artefacts(add_noise(clean, geometry, conditions, noise_rng), geometry, conditions, noise_rng)
    return images


def _lone_lens(optics: Optics, rng: Generator) -> System:
    """Draw a visible single lens without further masses, so small that it can be enlarged."""
    for _ in range(_MAX_TRIES):
        system, _ = visible_system("single", optics, rng)
        if len(system.masses) > 1 or (system.z_source1 or 0.0) > _MAX_SOURCE_Z:
            continue
        if effective_einstein_radius_arcsec(system.masses, system.z_source1 or 0.0) < MAX_RADIUS_ARCSEC:
            return system
    raise SimulationError(f"no lens with an Einstein radius below {MAX_RADIUS_ARCSEC} arcsec in {_MAX_TRIES} draws")


def _recoloured(system: System, sed_of: Callable[[float, float], Any]) -> System:
    """Give every component of the source other colours at the same VIS magnitude."""
    z = system.z_source1 or 0.0
    return replace(system, source1=tuple(replace(part, sed=sed_of(part.sed.vis_mag, z)) for part in system.source1))


def _dimmed(light: tuple[Light, ...], mag: float) -> tuple[Light, ...]:
    return tuple(replace(part, sed=part.sed.dimmed(mag)) for part in light)


def _middle(light: tuple[Light, ...]) -> tuple[float, float]:
    first = light[0]
    if not isinstance(first, Sersic):
        raise TypeError(f"a source's first component must be a Sersic profile, got {type(first).__name__}")
    return first.x_arcsec, first.y_arcsec
