"""The relation of Faber & Jackson (1976): the brighter an early-type galaxy, the faster its stars move."""

from functools import lru_cache

import numpy as np

from simulation.lensing import COSMOLOGY
from simulation.population.colours import k_correction_mag

_SIGMA_KM_S, _V_MAG = 220.0, -22.5
"""Velocity dispersion and corresponding absolute AB magnitude at 0.55 micron: with the old population of `colours`, the lens
galaxies of Collett (2015), which do not evolve, follow the relation to 0.15 mag in VIS at redshifts below 1.2."""
_MAGS_PER_DEX = 10.0
"""Slope of the relation, for L ~ sigma^4."""
FADING_MAG_PER_Z = 0.7
"""Dimming of old stars as they age, per unit of redshift (van Dokkum & Franx 1996; Treu et al. 2005)."""


def faber_jackson_mag(velocity_dispersion_km_s: float, z: float, band: str = "VIS", fading_mag_per_z: float = 0.0) -> float:
    """Return the total AB magnitude of an early-type galaxy at a redshift, brighter than today's by its fading since then."""
    absolute = _V_MAG - fading_mag_per_z * z - _MAGS_PER_DEX * np.log10(velocity_dispersion_km_s / _SIGMA_KM_S)
    return float(absolute + _distance_modulus(round(z, 3)) + k_correction_mag(z, band))


def faber_jackson_velocity_dispersion_km_s(mag: float, z: float, band: str = "VIS", fading_mag_per_z: float = 0.0) -> float:
    """Invert `faber_jackson_mag`; in H, where young stars contribute least, it serves for other galaxies too."""
    return float(_SIGMA_KM_S * 10 ** ((faber_jackson_mag(_SIGMA_KM_S, z, band, fading_mag_per_z) - mag) / _MAGS_PER_DEX))


@lru_cache(maxsize=8192)
def _distance_modulus(z: float) -> float:
    return float(COSMOLOGY.distmod(z).value)
