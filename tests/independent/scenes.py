"""Draw lenses and other galaxies for probes, as lists of lenstronomy's light and mass profiles.

All differs from the package's simulator: Hernquist galaxies with Gaussian halos, sources made of Gaussian blobs, cored mass
(NIE), Einstein radii from a log-normal distribution, colours from normal distributions, spirals and rings made of blobs.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.random import Generator

Profile = dict[str, float]
Class = Literal["single", "compound", "early", "disc", "spiral", "ring", "edge_on", "merger", "companions"]
LENSES: tuple[Class, ...] = ("single", "compound")
OTHERS: tuple[Class, ...] = ("early", "disc", "spiral", "ring", "edge_on", "merger", "companions")


@dataclass(frozen=True)
class Galaxy:
    """Light of one colour: lenstronomy's profiles, whose amplitudes are shares of the flux, and magnitudes by band."""

    profiles: list[tuple[str, Profile]]
    shares: list[float]
    mags: dict[str, float]


@dataclass(frozen=True)
class Scene:
    """Galaxies that are seen directly, and sources with their redshifts behind the masses."""

    galaxies: list[Galaxy]
    sources: list[tuple[Galaxy, float]] = field(default_factory=list)
    masses: list[tuple[str, Profile, float]] = field(default_factory=list)
    """Name, parameters and redshift; angles are for the farthest source."""


def draw_scene(of_class: Class, rng: Generator) -> Scene:
    """Draw a scene of a class with a few faint neighbours."""
    neighbours = [_neighbour(rng) for _ in range(rng.poisson(3))]
    if of_class in LENSES:
        scene = _lens(rng, compound=of_class == "compound")
        return Scene([*scene.galaxies, *neighbours], scene.sources, scene.masses)
    mag = float(rng.uniform(18.0, 22.5))
    galaxies = {
        "early": lambda: [_early(rng, mag)],
        "disc": lambda: [*_disc(rng, mag, float(rng.uniform(0.3, 0.9)))],
        "edge_on": lambda: [*_disc(rng, mag, float(rng.uniform(0.1, 0.2)))],
        "spiral": lambda: _spiral(rng, mag),
        "ring": lambda: _ring(rng, mag),
        "merger": lambda: _merger(rng, mag),
        "companions": lambda: _companions(rng, mag),
    }[of_class]()
    return Scene([*galaxies, *neighbours])


def _lens(rng: Generator, *, compound: bool) -> Scene:
    z_lens = float(rng.uniform(0.2, 0.8))
    z1 = z_lens + float(rng.uniform(0.3, 1.2))
    z2 = z1 + float(rng.uniform(0.4, 2.0))
    radius = float(np.clip(rng.lognormal(np.log(1.1), 0.35), 0.55, 2.6))
    e1, e2 = rng.normal(0, 0.1, 2).tolist()
    mag = 20.3 - 2.2 * float(np.log(radius)) + float(rng.normal(0, 0.6))
    # The convention of lenstronomy: the radius belongs to the farthest source of the scene.
    main = {"theta_E": radius, "e1": e1, "e2": e2, "s_scale": float(rng.uniform(0.01, 0.08)), "center_x": 0.0, "center_y": 0.0}
    shear = {"gamma1": float(rng.normal(0, 0.03)), "gamma2": float(rng.normal(0, 0.03))}
    masses = [("NIE", main, z_lens), ("SHEAR", shear, z_lens)]
    lens = _early(rng, mag, e1, e2)
    x1, y1 = _within(rng, 0.55 * radius)
    first = _blobs(rng, float(rng.uniform(22.3, 24.6)), x1, y1, float(rng.uniform(0.1, 0.3)), float(rng.normal(0.9, 0.45)))
    if not compound:
        return Scene([lens], [(first, z1)], masses)
    x2, y2 = _within(rng, 0.7 * radius)
    second = _blobs(rng, float(rng.uniform(22.8, 25.0)), x2, y2, float(rng.uniform(0.08, 0.25)), float(rng.normal(0.7, 0.4)))
    middle = {"theta_E": float(rng.uniform(0.05, 0.25)), "e1": 0.0, "e2": 0.0, "s_scale": 0.02, "center_x": x1, "center_y": y1}
    return Scene([lens], [(first, z1), (second, z2)], [*masses, ("NIE", middle, z1)])


def _mags(mag: float, vis_minus_h: float) -> dict[str, float]:
    return {"VIS": mag, "Y": mag - 0.55 * vis_minus_h, "J": mag - 0.8 * vis_minus_h, "H": mag - vis_minus_h}


def _early(rng: Generator, mag: float, e1: float = 0.0, e2: float = 0.0, x: float = 0.0, y: float = 0.0) -> Galaxy:
    size = float(np.exp(rng.normal(np.log(0.55) - 0.25 * (mag - 20.0), 0.25)))
    inner = {"Rs": 0.55 * size, "e1": e1, "e2": e2, "center_x": x, "center_y": y}
    halo = {"sigma": 1.8 * size, "e1": 0.6 * e1, "e2": 0.6 * e2, "center_x": x, "center_y": y}
    share = float(rng.uniform(0.1, 0.4))
    profiles = [("HERNQUIST_ELLIPSE", inner), ("GAUSSIAN_ELLIPSE", halo)]
    return Galaxy(profiles, [1 - share, share], _mags(mag, float(rng.normal(1.7, 0.25))))


def _disc(rng: Generator, mag: float, q: float) -> list[Galaxy]:
    angle, size = float(rng.uniform(0, np.pi)), float(np.exp(rng.normal(np.log(0.45) - 0.2 * (mag - 20.0), 0.25)))
    ellipticity = (1 - q) / (1 + q)
    e1, e2 = ellipticity * np.cos(2 * angle), ellipticity * np.sin(2 * angle)
    disc = {"R_sersic": 1.68 * size, "n_sersic": 1.0, "e1": e1, "e2": e2, "center_x": 0.0, "center_y": 0.0}
    bulge = float(rng.uniform(0.05, 0.4))
    dimmer = -2.5 * float(np.log10(bulge))
    whole = Galaxy(
        [("SERSIC_ELLIPSE", disc)], [1.0], _mags(mag - 2.5 * float(np.log10(1 - bulge)), float(rng.normal(1.0, 0.3)))
    )
    return [whole, _early(rng, mag + dimmer, 0.3 * e1, 0.3 * e2)]


def _blobs(rng: Generator, mag: float, x: float, y: float, size: float, vis_minus_h: float) -> Galaxy:
    """Draw an irregular galaxy: five to twelve Gaussians about a position."""
    n = int(rng.integers(5, 13))
    at = rng.normal(0, 0.6 * size, (n, 2)) @ _stretch(rng)
    sigmas = np.maximum(size * rng.uniform(0.15, 0.6, n), 0.03)
    profiles = [
        ("GAUSSIAN", {"sigma": float(s), "center_x": x + float(dx), "center_y": y + float(dy)})
        for s, (dx, dy) in zip(sigmas, at, strict=True)
    ]
    return Galaxy(profiles, rng.dirichlet(np.full(n, 1.5)).tolist(), _mags(mag, vis_minus_h))


def _spiral(rng: Generator, mag: float) -> list[Galaxy]:
    """Draw a disc with arms made of blobs."""
    q, phase, winding = float(rng.uniform(0.5, 1.0)), float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(0.25, 0.6))
    size, hand, n_arms = float(rng.uniform(0.5, 1.1)), int(rng.choice([-1, 1])), int(rng.choice([2, 2, 3]))
    radii = np.tile(np.linspace(0.5, 2.2, 16), n_arms) * size
    turns = hand * np.log(radii / size) / winding + phase + np.repeat(np.arange(n_arms), 16) * 2 * np.pi / n_arms
    knots = _along(rng, radii, turns, q, 0.16 * size)
    return [*_disc(rng, mag, q), Galaxy(*knots, _mags(mag + float(rng.uniform(0.8, 2.0)), float(rng.normal(0.6, 0.3))))]


def _ring(rng: Generator, mag: float) -> list[Galaxy]:
    """Draw a ring of blobs about an early-type galaxy, whole or in part."""
    q, radius = float(rng.uniform(0.55, 1.0)), float(rng.uniform(0.6, 2.2))
    n, reach = 40, float(rng.choice([2 * np.pi, rng.uniform(2.0, 5.0)]))
    turns = rng.uniform(0, 2 * np.pi) + np.linspace(0, reach, n)
    knots = _along(rng, radius * rng.normal(1, 0.05, n), turns, q, 0.13 * radius)
    return [_early(rng, mag), Galaxy(*knots, _mags(mag + float(rng.uniform(0.3, 2.2)), float(rng.normal(0.7, 0.4))))]


def _merger(rng: Generator, mag: float) -> list[Galaxy]:
    x, y = _within(rng, 1.8)
    tail_at = np.linspace(0.4, 2.4, 14)
    bend = rng.uniform(0, 2 * np.pi) + np.linspace(0, float(rng.uniform(0.6, 1.8)), 14)
    tail = _along(rng, tail_at, bend, 1.0, 0.18)
    other = _early(rng, mag + float(rng.uniform(0, 1.5)), x=x, y=y)
    return [_early(rng, mag), other, Galaxy(*tail, _mags(mag + float(rng.uniform(1.5, 3.0)), float(rng.normal(1.1, 0.3))))]


def _companions(rng: Generator, mag: float) -> list[Galaxy]:
    """Draw an early-type galaxy with one to three small galaxies, each elongated in any direction."""
    found = [_early(rng, mag)]
    for _ in range(rng.integers(1, 4)):
        distance, turn = float(rng.uniform(0.6, 2.4)), float(rng.uniform(0, 2 * np.pi))
        e1, e2 = rng.normal(0, 0.25, 2).clip(-0.5, 0.5).tolist()
        small = {"R_sersic": float(rng.uniform(0.1, 0.35)), "n_sersic": 1.0, "e1": e1, "e2": e2}
        small |= {"center_x": distance * float(np.cos(turn)), "center_y": distance * float(np.sin(turn))}
        mags = _mags(float(rng.uniform(max(mag + 1.0, 21.0), 24.8)), float(rng.normal(0.9, 0.5)))
        found.append(Galaxy([("SERSIC_ELLIPSE", small)], [1.0], mags))
    return found


def _neighbour(rng: Generator) -> Galaxy:
    while True:
        x, y = rng.uniform(-6, 6, 2).tolist()
        if np.hypot(x, y) > 2.5:
            break
    e1, e2 = rng.normal(0, 0.15, 2).clip(-0.4, 0.4).tolist()
    light = {"R_sersic": float(rng.uniform(0.15, 0.5)), "n_sersic": 1.2, "e1": e1, "e2": e2, "center_x": x, "center_y": y}
    return Galaxy([("SERSIC_ELLIPSE", light)], [1.0], _mags(float(rng.uniform(22.0, 26.0)), float(rng.normal(1.0, 0.5))))


def _along(
    rng: Generator, radii: np.ndarray, turns: np.ndarray, q: float, sigma: float
) -> tuple[list[tuple[str, Profile]], list[float]]:
    """Return blobs along a curve on an inclined plane, and their shares of the light."""
    angle = float(rng.uniform(0, np.pi))
    along, across = radii * np.cos(turns), q * radii * np.sin(turns)
    x, y = np.cos(angle) * along - np.sin(angle) * across, np.sin(angle) * along + np.cos(angle) * across
    sigmas = sigma * rng.uniform(0.6, 1.3, len(x))
    profiles = [
        ("GAUSSIAN", {"sigma": float(s), "center_x": float(px), "center_y": float(py)})
        for s, px, py in zip(sigmas, x, y, strict=True)
    ]
    return profiles, rng.dirichlet(np.full(len(x), 2.0)).tolist()


def _within(rng: Generator, radius: float) -> tuple[float, float]:
    distance, turn = radius * float(np.sqrt(rng.uniform())), float(rng.uniform(0, 2 * np.pi))
    return distance * float(np.cos(turn)), distance * float(np.sin(turn))


def _stretch(rng: Generator) -> np.ndarray:
    turn, q = rng.uniform(0, np.pi), rng.uniform(0.4, 1.0)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return rotation @ np.diag([1.0, q]) @ rotation.T
