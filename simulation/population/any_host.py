"""The preset `any_host`: lenses whose light is that of any galaxy.

In the presets `euclid` and `broad`, a deflector's light follows its mass, but for scatter. Networks then judge arcs by the
galaxy in their middle, and arcs about a compact or an edge-on galaxy count little. Here, the light tells nothing of the mass.
"""

from dataclasses import replace

from numpy.random import Generator

from simulation.population import broad
from simulation.population.crowds import moved
from simulation.population.galaxies import BUILDERS, Builder
from simulation.population.shapes import pick
from simulation.systems import Kind, System

HOST_VIS_MAGS = (18.5, 23.3)
"""Range of the VIS magnitudes of hosts, all equally frequent."""


def draw_lens(kind: Kind, rng: Generator, detector_angle_deg: float) -> System:
    """Draw a lens of the preset `broad`, with another galaxy in its middle and no other galaxies at its redshift.

    Raises:
        ValueError: the kind is not a lens.
    """
    lens = broad.draw_lens(kind, rng, detector_angle_deg)
    deflector, *others = lens.masses
    build: Builder = pick(
        rng,
        (0.35, BUILDERS["elliptical"]),
        (0.25, BUILDERS["disc"]),
        (0.15, BUILDERS["spiral"]),
        (0.25, BUILDERS["edge_on"]),
    )
    _, light = build(rng, float(rng.uniform(*HOST_VIS_MAGS)), detector_angle_deg)
    middle = light[0]
    host = moved(light, deflector.x_arcsec - middle.x_arcsec, deflector.y_arcsec - middle.y_arcsec)
    behind = (mass for mass in others if mass.z != deflector.z)
    return replace(lens, galaxy=host, masses=(deflector, *behind), neighbours=())
