"""Many builds of each look-alike, and measures of their light."""

from functools import cache

import numpy as np

from simulation.population.galaxies import BUILDERS

KINDS = sorted(BUILDERS)
N_DRAWS = 200


@cache
def draws(kind, vis_mag=None, detector_angle_deg=20.0):
    """Return (z, light) for each of `N_DRAWS` seeds."""
    return [BUILDERS[kind](np.random.default_rng(seed), vis_mag, detector_angle_deg) for seed in range(N_DRAWS)]


def distance(part):
    return np.hypot(part.x_arcsec, part.y_arcsec)


def of_type(light, kind):
    return [part for part in light if isinstance(part, kind)]


def vis_flux(light):
    return sum(10 ** (-0.4 * part.sed.vis_mag) for part in light)
