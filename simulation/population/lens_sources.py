"""Sources behind lenses, and the mass of galaxy 1 of a compound lens: what the presets `euclid` and `broad` have in common."""

import numpy as np
from numpy.random import Generator

from simulation.population.colours import early_type_sed, star_forming_sed
from simulation.population.forecast_rows import Row
from simulation.population.scaling import FADING_MAG_PER_Z, faber_jackson_velocity_dispersion_km_s
from simulation.systems import Light, Mass, Sersic

MIDDLE_VELOCITY_DISPERSIONS_KM_S = (80.0, 280.0)
"""Range of galaxy 1 of a compound lens, which is also smaller than the deflector's dispersion."""
MIN_RADIUS_ARCSEC = 0.03
_CLUMPY_SHARE = 0.5


def draw_source(rng: Generator, x: float, y: float, z: float, row: Row, red_share: float) -> tuple[Light, ...]:
    """Draw the source of a row: blue and exponential or clumpy, or red."""
    mag, q, angle = row.source_vis_mag, row.source_axis_ratio, float(rng.uniform(0, np.pi))
    radius = max(row.source_half_light_radius_arcsec, MIN_RADIUS_ARCSEC)
    if rng.random() < red_share:
        is_old = rng.random() < 0.5
        sed = early_type_sed(mag, z, rng) if is_old else star_forming_sed(mag, z, rng, float(rng.uniform(0.4, 0.9)))
        index = float(rng.uniform(2.0, 4.0) if is_old else rng.uniform(0.7, 2.0))
        return (Sersic(x, y, radius, index, q, angle, sed),)
    n_knots = int(rng.integers(1, 5)) if rng.random() < _CLUMPY_SHARE else 0
    in_knots = float(rng.uniform(0.1, 0.5)) if n_knots else 0.0
    sed = star_forming_sed(mag, z, rng)
    disc = Sersic(x, y, radius, float(rng.uniform(0.7, 1.5)), q, angle, sed.share(1 - in_knots))
    return (disc, *(draw_knot(rng, disc, z, mag, in_knots / n_knots) for _ in range(n_knots)))


def draw_knot(rng: Generator, disc: Sersic, z: float, mag: float, share: float) -> Light:
    """Draw a star-forming knot in a disc, young and with little dust."""
    radius = disc.half_light_radius_arcsec
    major, minor = rng.normal(0, 0.7 * radius, 2) * (1.0, disc.axis_ratio)
    cos, sin = np.cos(disc.angle_rad), np.sin(disc.angle_rad)
    x, y = float(disc.x_arcsec + cos * major - sin * minor), float(disc.y_arcsec + sin * major + cos * minor)
    sed = star_forming_sed(mag, z, rng, float(rng.uniform(0, 0.15))).share(share)
    return Sersic(x, y, float(rng.uniform(0.02, 0.08)), 1.0, float(rng.uniform(0.7, 1.0)), disc.angle_rad, sed)


def middle_mass(rng: Generator, light: tuple[Light, ...], z: float, deflector_sigma_km_s: float) -> Mass:
    """Draw the mass of galaxy 1 of a compound lens: it scales with its light in H, and shares its position and ellipse."""
    galaxy = light[0]
    if not isinstance(galaxy, Sersic):
        raise TypeError(f"the middle galaxy must have a Sersic profile, got {type(galaxy).__name__}")
    h_mag = float(-2.5 * np.log10(sum(10 ** (-0.4 * part.sed.h_mag) for part in light)))
    sigma = faber_jackson_velocity_dispersion_km_s(h_mag, z, "H", FADING_MAG_PER_Z) * 10 ** float(rng.normal(0, 0.08))
    low, high = MIDDLE_VELOCITY_DISPERSIONS_KM_S
    low *= float(np.exp(abs(rng.normal(0, 0.15))))
    sigma = min(max(sigma, low), high, 0.95 * deflector_sigma_km_s)
    return Mass(z, galaxy.x_arcsec, galaxy.y_arcsec, sigma, max(galaxy.axis_ratio, 0.5), galaxy.angle_rad)
