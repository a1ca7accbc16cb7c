"""Lenses of the preset `euclid` with one thing changed: a network that has learnt lensing keeps its opinion of most of them.

Each image of a lens has the same surroundings, optics and noise; only the change differs. A source that becomes brighter, a
ring that becomes larger or more crowded, and a deflector that becomes fainter stay lenses; a lens without its sources is none.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from types import MappingProxyType

from numpy.random import Generator, SeedSequence, default_rng

from scanner.vocabulary.geometry import Geometry
from scanner.vocabulary.kinds import UNCHANGED
from simulation.lensing import effective_einstein_radius_arcsec
from simulation.optics.artefacts import add_artefacts
from simulation.optics.observation import Optics, add_noise, draw_conditions
from simulation.population.draw import draw_surroundings
from simulation.products.render import Images, SimulationError, lens, render, visible_system
from simulation.products.system_changes import (
    Change,
    blue_source,
    brighter_deflector,
    brighter_source,
    galaxies_inside,
    larger,
    no_arcs,
    red_source,
    second_source,
    unchanged,
)
from simulation.systems import System

MAX_RADIUS_ARCSEC = 1.65
"""Largest Einstein radius of the unchanged lenses: 2.5 times as large, the ring still fits a 10 arcsec stamp."""
_MAX_SOURCE_Z = 4.0
"""Largest redshift of the unchanged lenses' sources, so that there is room for another one behind."""
_MAX_TRIES = 200


CHANGES: Mapping[str, Change] = MappingProxyType(
    {
        UNCHANGED: unchanged,
        **{f"source {mag} mag brighter": brighter_source(mag) for mag in (1, 2, 3, 4)},
        "deflector 2 mag fainter": brighter_deflector(-2.0),
        "1 galaxy inside": galaxies_inside(1),
        **{f"{n} galaxies inside": galaxies_inside(n) for n in (2, 3)},
        "Einstein radius x 1.6": larger(1.6),
        "Einstein radius x 2.5": larger(2.5),
        "red source": red_source,
        "blue source": blue_source,
        "second source": second_source,
        "no arcs": no_arcs,
    }
)
"""Changes of a single lens, by what changes; the first changes nothing, and only the last makes a non-lens."""


def counterfactual(index: int, seed: int, geometry: Geometry) -> dict[str, Images]:
    """Simulate one visible single lens under every change; it depends on the seed and the index alone.

    Raises:
        SimulationError: the lens could not be made.
    """
    return changed_lens(default_rng(SeedSequence(seed, spawn_key=(index,))), geometry)


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
