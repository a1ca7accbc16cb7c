"""The preset `wilde2022`: section 2.2 and table 1 of Wilde et al. (2022), with correct physics of lensing.

Where the paper leaves choices open, this module decides:
- The training set that it takes redshifts and magnitudes from is not public; the ranges of SLACS lenses, which it samples
  too, stand in.
- Luminosities follow velocity dispersions (Faber & Jackson 1976) rather than the other way round; the relation is the same.
- `Gamma` of table 1, signed and without unit, is each component of an external shear: a slope would not be centred on 0. The
  system has one shear, about the deflector, with its value for the farthest source. (The notebook published with the paper
  draws shears of up to 0.05.)
- Compound arcs take only those positions of table 1 that lens: the source and the middle galaxy are within the deflector's
  Einstein radius for their redshifts. Elsewhere in boxes of 10 arcsec there is only one image.
- The middle galaxy is a source as well as a lens, and its light is lensed by the deflector.
- A source shares the ranges of the lenses' profile, `R Sersic` and `n Sersic`.
"""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from simulation.lensing import distance_ratio, einstein_radius_arcsec
from simulation.population.colours import early_type_sed, star_forming_sed
from simulation.population.scaling import faber_jackson_mag
from simulation.systems import Kind, Light, Mass, Sed, Sersic, System

SERSIC_RADII_ARCSEC = (0.2, 7.0)
SERSIC_INDICES = (1.5, 20.0)
SOURCE_POSITIONS_ARCSEC = (-5.0, 5.0)
ANGLES_RAD = (0.0, float(np.pi))
AXIS_RATIOS = (0.3, 1.0)
COMPOUND_ARC_OFFSETS_ARCSEC = (-5.0, 5.0)
DOUBLE_RING_OFFSETS_ARCSEC = (-0.25, 0.25)
"""Offsets of each lens galaxy from the source, in x and in y."""
GAMMAS = (-0.5, 0.5)
"""Components of the shear. This range and those above are from table 1."""
DEFLECTOR_REDSHIFTS = (0.08, 0.44)
SOURCE_REDSHIFTS = (0.20, 1.19)
VELOCITY_DISPERSIONS_KM_S = (164.0, 404.0)
"""Ranges of 56 SLACS lenses (Bolton et al. 2008; Auger et al. 2009; Birrer et al. 2020)."""
DEFLECTOR_IS_MORE_MASSIVE_SHARE = 2 / 3
SOURCE_VIS_MAGS = (20.0, 24.0)
"""Magnitudes of sources without magnification; not in the paper. Fainter sources of several arcsec would not be visible."""
MAX_Z_SOURCE2 = 3.0
_MIN_GAP = 0.1
"""Smallest difference of the redshifts of two galaxies on a line of sight."""


def draw_lens(kind: Kind, rng: Generator, detector_angle_deg: float) -> System:
    """Draw a lens without neighbours. Only rendering shows whether its arcs are visible.

    `single` is a compound arc without its middle galaxy.

    Raises:
        ValueError: the kind is not a lens.
    """
    if kind not in {"single", "compound_arc", "double_ring"}:
        raise ValueError(f"kind must be single, compound_arc or double_ring, got {kind!r}")
    z_lens, z_middle, z_far = _draw_redshifts(rng)
    z_source = z_middle if kind == "single" else z_far
    sigma, middle_sigma = _draw_velocity_dispersions(rng)
    radii = (einstein_radius_arcsec(sigma, z_lens, z) for z in (z_source, z_middle))
    (source_x, source_y), (x, y), (middle_x, middle_y) = _draw_positions(kind, rng, *radii)
    galaxy = _draw_early_type(rng, x, y, z_lens, sigma)
    masses: tuple[Mass, ...] = (_mass_of(galaxy, z_lens, sigma, _draw_shear(rng, z_lens, z_source)),)
    source = _draw_source(rng, source_x, source_y, z_source)
    source1: tuple[Light, ...] = (source,)
    source2: tuple[Light, ...] = ()
    if kind != "single":
        middle = _draw_early_type(rng, middle_x, middle_y, z_middle, middle_sigma)
        masses += (_mass_of(middle, z_middle, middle_sigma),)
        source1, source2 = (middle,), (source,)
    return System(
        kind=kind,
        lookalike=None,
        z_lens=z_lens,
        z_source1=z_middle,
        z_source2=z_far if source2 else None,
        masses=masses,
        galaxy=(galaxy,),
        source1=source1,
        source2=source2,
        neighbours=(),
        velocity_dispersion_km_s=sigma,
        detector_angle_deg=float(detector_angle_deg),
    )


def _draw_redshifts(rng: Generator) -> tuple[float, float, float]:
    """Draw the redshifts of the deflector, the galaxy behind it, and a source behind both."""
    z_lens = float(rng.uniform(*DEFLECTOR_REDSHIFTS))
    z_middle = float(rng.uniform(max(SOURCE_REDSHIFTS[0], z_lens + _MIN_GAP), SOURCE_REDSHIFTS[1]))
    z_far = float(rng.uniform(z_middle + _MIN_GAP, MAX_Z_SOURCE2))
    return round(z_lens, 3), round(z_middle, 3), round(z_far, 3)


def _draw_positions(kind: Kind, rng: Generator, radius_arcsec: float, middle_radius_arcsec: float) -> list[tuple[float, float]]:
    """Draw positions of source, deflector and middle galaxy; the radii are the deflector's for the source and that galaxy."""
    source = rng.uniform(*SOURCE_POSITIONS_ARCSEC, 2)
    if kind == "double_ring":
        deflector, middle = source + rng.uniform(*DOUBLE_RING_OFFSETS_ARCSEC, (2, 2))
    else:
        deflector = source + _within(rng, radius_arcsec)
        middle = deflector + _within(rng, middle_radius_arcsec)
        low, high = COMPOUND_ARC_OFFSETS_ARCSEC
        middle = source + np.clip(middle - source, low, high)
    return [(float(x), float(y)) for x, y in (source, deflector, middle)]


def _within(rng: Generator, radius_arcsec: float) -> NDArray[np.float64]:
    """Draw a point in a circle about the origin, uniform in area."""
    direction = rng.uniform(0, 2 * np.pi)
    return radius_arcsec * np.sqrt(rng.uniform()) * np.array([np.cos(direction), np.sin(direction)])


def _draw_velocity_dispersions(rng: Generator) -> tuple[float, float]:
    """Draw the velocity dispersions of the deflector and the middle galaxy, in km/s."""
    low, high = sorted(rng.uniform(*VELOCITY_DISPERSIONS_KM_S, 2).tolist())
    return (high, low) if rng.random() < DEFLECTOR_IS_MORE_MASSIVE_SHARE else (low, high)


def _draw_shear(rng: Generator, z_lens: float, z_source: float) -> tuple[float, float]:
    """Draw a shear for this source, and return its components for an infinitely distant one."""
    gamma1, gamma2 = (rng.uniform(*GAMMAS, 2) / distance_ratio(z_lens, z_source)).tolist()
    return gamma1, gamma2


def _draw_early_type(rng: Generator, x: float, y: float, z: float, sigma_km_s: float) -> Sersic:
    return _draw_profile(rng, x, y, early_type_sed(faber_jackson_mag(sigma_km_s, z), z, rng))


def _draw_source(rng: Generator, x: float, y: float, z: float) -> Sersic:
    return _draw_profile(rng, x, y, star_forming_sed(float(rng.uniform(*SOURCE_VIS_MAGS)), z, rng))


def _draw_profile(rng: Generator, x: float, y: float, sed: Sed) -> Sersic:
    radius, index, q, angle = (float(rng.uniform(*r)) for r in (SERSIC_RADII_ARCSEC, SERSIC_INDICES, AXIS_RATIOS, ANGLES_RAD))
    return Sersic(x, y, radius, index, q, angle, sed)


def _mass_of(galaxy: Sersic, z: float, sigma_km_s: float, shear: tuple[float, float] = (0.0, 0.0)) -> Mass:
    """Return the mass of a galaxy, with the position and ellipse of its light."""
    return Mass(z, galaxy.x_arcsec, galaxy.y_arcsec, sigma_km_s, galaxy.axis_ratio, galaxy.angle_rad, shear)
