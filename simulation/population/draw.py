"""Draw an object to observe: one `System` of a kind or look-alike, from a preset."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import cast, get_args

import numpy as np
from numpy.random import Generator

from infra.errors import LensscanError
from scanner.vocabulary.choices import PopulationPreset
from scanner.vocabulary.kinds import KINDS
from simulation.lensing import effective_einstein_radius_arcsec
from simulation.population import any_host, broad, forecast, wilde2022
from simulation.population.broad_lookalikes import BROAD_BUILDERS
from simulation.population.field import draw_neighbours
from simulation.population.galaxies import BUILDERS, Builder
from simulation.systems import ARCLESS_LENS, LOOKALIKES, Kind, Light, Lookalike, System

Draw = Kind | Lookalike
"""Name of an object to draw: a class, or one look-alike of the class `nonlens`."""
Lights = tuple[Light, ...]
DRAWS: tuple[Draw, ...] = (*get_args(Kind), *LOOKALIKES)
Shares = tuple[tuple[Draw, float], ...]
"""Objects to draw, each with its share."""

LENS_SHARES: Shares = (("single", 0.35), ("compound_arc", 0.075), ("double_ring", 0.075))
"""Shares of the kinds of lens. Compound lenses are rare on the sky; networks need many to learn them."""

LOOKALIKE_SHARES: Mapping[Lookalike, float] = MappingProxyType(
    {
        ARCLESS_LENS: 0.20,
        "elliptical": 0.08,
        "disc": 0.08,
        "spiral": 0.12,
        "ring_galaxy": 0.06,
        "edge_on": 0.07,
        "merger": 0.10,
        "companions": 0.07,
        "blue_companions": 0.06,
        "group": 0.03,
        "faint": 0.09,
        "star": 0.03,
        "artefact": 0.01,
    }
)
"""Shares of the non-lenses: objects that fool networks are far more frequent than on the sky, so that there are enough."""
BROAD_LOOKALIKE_SHARES: Mapping[Lookalike, float] = MappingProxyType(
    {
        ARCLESS_LENS: 0.35,
        "elliptical": 0.02,
        "disc": 0.03,
        "spiral": 0.07,
        "ring_galaxy": 0.12,
        "edge_on": 0.03,
        "merger": 0.12,
        "companions": 0.10,
        "blue_companions": 0.10,
        "group": 0.06,
    }
)
"""Shares of the non-lenses of `broad` and `any_host`: the galaxies of their lenses without arcs, and what resembles lenses."""
_MAX_DRAWS = 2000
"""One lens of `euclid` in fifty has an Einstein radius of 3 arcsec or more."""


def kind_of_draw(draw: Draw) -> Kind:
    """Return the class of an object to draw."""
    return cast("Kind", draw) if draw in KINDS else "nonlens"


class PopulationError(LensscanError, ValueError):
    """A preset does not exist, or has no such object; the message names it."""


def check_draw(preset: str, draw: str) -> None:
    """Check that a preset can draw an object.

    Raises:
        PopulationError: it cannot; the message lists the allowed names.
    """
    if preset not in get_args(PopulationPreset):
        raise PopulationError(f"preset must be one of {', '.join(get_args(PopulationPreset))}, got {preset!r}")
    if draw not in DRAWS:
        raise PopulationError(f"kind must be one of {', '.join(DRAWS)}, got {draw!r}")
    if preset == "wilde2022" and draw in LOOKALIKES and draw != ARCLESS_LENS:
        raise PopulationError(
            f"the preset wilde2022 has no look-alike but {ARCLESS_LENS!r}, lens galaxies without arcs, got {draw!r}"
        )


def draw_system(
    preset: PopulationPreset,
    draw: Draw,
    rng: Generator,
    detector_angle_deg: float,
    neighbours: Lights = (),
    min_einstein_radius_arcsec: float = 0.0,
) -> System:
    """Draw a system from a preset. Only rendering shows whether its arcs are visible.

    Args:
        preset: Name of the preset.
        draw: A kind, or a look-alike; `nonlens` draws one of the preset's look-alikes.
        rng: Source of randomness.
        detector_angle_deg: Orientation of the detector.
        neighbours: Light of objects that are near by chance.
        min_einstein_radius_arcsec: Least Einstein radius of a lens, of all masses together, for its nearest source.

    Raises:
        PopulationError: the preset or the object to draw is unknown, it has no such look-alike, or no lens as wide as
            asked in `_MAX_DRAWS` draws.
    """
    check_draw(preset, draw)
    for _ in range(_MAX_DRAWS):
        system = _DRAW[preset](draw, rng, detector_angle_deg)
        if _is_wide(system, min_einstein_radius_arcsec):
            return replace(system, neighbours=(*system.neighbours, *neighbours))
    raise PopulationError(
        f"no {draw} of the preset {preset} with an Einstein radius of at least {min_einstein_radius_arcsec:g} arcsec "
        f"in {_MAX_DRAWS} draws"
    )


def _is_wide(system: System, min_einstein_radius_arcsec: float) -> bool:
    """Return whether a system is no lens, or its Einstein radius is at least this."""
    if min_einstein_radius_arcsec == 0 or system.z_source1 is None:
        return True
    return effective_einstein_radius_arcsec(system.masses, system.z_source1) >= min_einstein_radius_arcsec


def lens_shares(shares: Iterable[tuple[Draw, float]]) -> Shares:
    """Return the kinds of lens among the objects of a data set; `LENS_SHARES` if it has no lenses."""
    lenses = tuple((kind_of_draw(draw), share) for draw, share in shares if kind_of_draw(draw) != "nonlens")
    return lenses or LENS_SHARES


def draw_kind(shares: Shares, rng: Generator) -> Kind:
    """Draw a kind with its share as probability; shares need not sum to 1."""
    kinds, weights = zip(*shares, strict=True)
    return cast("Kind", kinds[int(rng.choice(len(kinds), p=np.array(weights) / sum(weights)))])


def without_sources(system: System) -> System:
    """Return the non-lens that a lens is without the sources behind it."""
    return replace(
        system,
        kind="nonlens",
        lookalike=ARCLESS_LENS,
        z_source1=None,
        z_source2=None,
        masses=(),
        source1=(),
        source2=(),
    )


def draw_lookalike(preset: PopulationPreset, rng: Generator) -> Lookalike:
    """Draw the look-alike of a non-lens; in `wilde2022` all are lens galaxies without arcs, as in the paper."""
    if preset == "wilde2022":
        return ARCLESS_LENS
    shares = LOOKALIKE_SHARES if preset == "euclid" else BROAD_LOOKALIKE_SHARES
    names = tuple(shares)
    return names[int(rng.choice(len(names), p=list(shares.values())))]


def draw_surroundings(preset: PopulationPreset, rng: Generator, detector_angle_deg: float) -> Lights:
    """Draw galaxies and stars near by chance, alike for every kind; `wilde2022` has none, as in the paper's images."""
    return () if preset == "wilde2022" else draw_neighbours(rng, detector_angle_deg)


def _draw_euclid(draw: Draw, rng: Generator, angle: float) -> System:
    if kind_of_draw(draw) != "nonlens":
        return forecast.draw_lens(cast("Kind", draw), rng, angle)
    return _draw_nonlens("euclid", draw, rng, angle, forecast.draw_lens, BUILDERS)


def _draw_broad(draw: Draw, rng: Generator, angle: float) -> System:
    if kind_of_draw(draw) != "nonlens":
        return broad.draw_lens(cast("Kind", draw), rng, angle)
    return _draw_nonlens("broad", draw, rng, angle, broad.draw_lens, BROAD_BUILDERS)


def _draw_any_host(draw: Draw, rng: Generator, angle: float) -> System:
    if kind_of_draw(draw) != "nonlens":
        return any_host.draw_lens(cast("Kind", draw), rng, angle)
    return _draw_nonlens("any_host", draw, rng, angle, any_host.draw_lens, BROAD_BUILDERS)


def _draw_nonlens(
    preset: PopulationPreset,
    draw: Draw,
    rng: Generator,
    angle: float,
    draw_lens: Callable[[Kind, Generator, float], System],
    builders: Mapping[Lookalike, Builder],
) -> System:
    lookalike = draw_lookalike(preset, rng) if draw == "nonlens" else cast("Lookalike", draw)
    if lookalike == ARCLESS_LENS:
        return without_sources(draw_lens(draw_kind(LENS_SHARES, rng), rng, angle))
    # The image with the artefact is of an ordinary faint galaxy.
    z, light = builders["faint" if lookalike == "artefact" else lookalike](rng, None, angle)
    return System("nonlens", lookalike, z, None, None, (), light, (), (), (), None, angle)


def _draw_wilde2022(draw: Draw, rng: Generator, angle: float) -> System:
    if kind_of_draw(draw) != "nonlens":
        return wilde2022.draw_lens(cast("Kind", draw), rng, angle)
    kind: Kind = "compound_arc" if rng.random() < 0.5 else "double_ring"
    return without_sources(wilde2022.draw_lens(kind, rng, angle))


_DRAW: Mapping[PopulationPreset, Callable[[Draw, Generator, float], System]] = MappingProxyType(
    {"euclid": _draw_euclid, "broad": _draw_broad, "any_host": _draw_any_host, "wilde2022": _draw_wilde2022}
)
