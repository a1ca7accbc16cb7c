"""The preset `euclid`: lenses of the forecast of Collett (2015), with groups, shear, uneven sources and compound lenses."""

from dataclasses import replace

import numpy as np
from numpy.random import Generator

from simulation.lensing import distance_ratio, einstein_radius_arcsec
from simulation.population.colours import early_type_sed
from simulation.population.deflectors import (
    Deflector,
    at_distance,
    catalogue_offset_arcsec,
    lens_light,
    lens_system,
    mass_axis_ratio,
    polar,
)
from simulation.population.forecast_rows import EINSTEIN_RADII_ARCSEC, Row, draw_row
from simulation.population.lens_sources import draw_source, middle_mass
from simulation.systems import Kind, Light, Mass, Sersic, System

MAX_VELOCITY_DISPERSION_KM_S = 450.0
_MIN_COMPOUND_RADIUS_ARCSEC = 0.6
_MIDDLE_BRIGHTER_THAN_MAG, _MIDDLE_RED_SHARE = 25.3, 0.35
"""Faintest VIS magnitude of galaxy 1, for enough mass to matter, and how often the galaxy is red."""
_MIN_SOURCE_GAP, _MAX_Z = 0.3, 5.0
"""Smallest redshift difference of the sources of a compound lens, and largest redshift of the farther one."""
_GROUP_SHARE, _GROUP_FACTORS = 0.15, (1.3, 2.6)
"""Share of deflectors with the mass of a group, and factors by which their Einstein radii grow."""
_MEMBERS_SHARE_OF_GROUPS, _MEMBERS_SHARE_OF_OTHERS = 0.6, 0.19
"""Shares of deflectors with further massive galaxies: 25 % in all."""
_MEMBER_DISTANCES_ARCSEC = (1.5, 6.0)
_SHEAR = 0.028
"""Rayleigh scale of the shear, for a mean of 0.035."""
_OTHER_SLOPE_SHARE, _SLOPES = 1 / 3, (1.7, 2.3)
_RED_SHARE = 0.18
_FARTHEST_SOURCE = 0.95
_ARC_OFFSETS = (0.3, 0.9)
_RING_OFFSET, _RING_OFFSET_ARCSEC = 0.3, 0.25
"""Distances of sources from the axis, in Einstein radii for their redshift unless the name ends in arcsec."""
_MAX_DRAWS = 1000


def draw_lens(kind: Kind, rng: Generator, detector_angle_deg: float) -> System:
    """Draw a lens without neighbours. Only rendering shows whether its arcs are visible.

    Raises:
        ValueError: the kind is not a lens.
    """
    if kind == "single":
        return _draw_single(rng, detector_angle_deg)
    if kind in {"compound_arc", "double_ring"}:
        return _draw_compound(kind, rng, detector_angle_deg)
    raise ValueError(f"kind must be single, compound_arc or double_ring, got {kind!r}")


def _draw_single(rng: Generator, detector_angle_deg: float) -> System:
    row = draw_row(rng)
    deflector = _draw_deflector(rng, row)
    # Sources are uniform in area.
    x, y = at_distance(rng, deflector, 0.0, _FARTHEST_SOURCE * deflector.radius_arcsec(row.z_source))
    source = draw_source(rng, x, y, row.z_source, row, _RED_SHARE)
    return lens_system("single", deflector, [(row.z_source, source)], detector_angle_deg)


def _draw_compound(kind: Kind, rng: Generator, detector_angle_deg: float) -> System:
    """Draw a deflector, a massive galaxy behind it that is both lensed and a lens, and a source behind both."""
    row, far_row = draw_compound_rows(rng)
    deflector = _draw_deflector(rng, row)
    redshifts = (row.z_source, far_row.z_source)
    (x1, y1), (x2, y2) = (at_distance(rng, deflector, *_offsets(kind, deflector.radius_arcsec(z))) for z in redshifts)
    source1 = draw_source(rng, x1, y1, row.z_source, row, _MIDDLE_RED_SHARE)
    middle = middle_mass(rng, source1, row.z_source, deflector.mass.velocity_dispersion_km_s)
    source2 = draw_source(rng, x2, y2, far_row.z_source, far_row, _RED_SHARE)
    sources = [(row.z_source, source1), (far_row.z_source, source2)]
    return lens_system(kind, deflector, sources, detector_angle_deg, (middle,))


def draw_second_source(rng: Generator, system: System) -> System:
    """Return a single lens with mass in its source and another source behind both.

    Raises:
        ValueError: the source is too distant for one farther away.
    """
    z_source, deflector = system.z_source1 or 0.0, system.masses[0]
    sigma = deflector.velocity_dispersion_km_s
    for _ in range(_MAX_DRAWS):
        far_row = draw_row(rng)
        if z_source + _MIN_SOURCE_GAP < far_row.z_source < _MAX_Z:
            radius = einstein_radius_arcsec(sigma, deflector.z, far_row.z_source)
            x, y = polar(rng, *_offsets("compound_arc", radius))
            x, y = deflector.x_arcsec + x, deflector.y_arcsec + y
            return replace(
                system,
                kind="compound_arc",
                z_source2=far_row.z_source,
                masses=(*system.masses, middle_mass(rng, system.source1, z_source, sigma)),
                source2=draw_source(rng, x, y, far_row.z_source, far_row, _RED_SHARE),
            )
    raise ValueError(f"no source behind one at z = {z_source} in {_MAX_DRAWS} draws")


def draw_compound_rows(rng: Generator) -> tuple[Row, Row]:
    """Draw a massive lens with its source, and another lens's source at a larger redshift."""
    for _ in range(_MAX_DRAWS):
        row, far_row = draw_row(rng), draw_row(rng)
        is_far = row.z_source + _MIN_SOURCE_GAP < far_row.z_source < _MAX_Z
        is_massive = row.source_vis_mag < _MIDDLE_BRIGHTER_THAN_MAG
        if is_far and is_massive and row.einstein_radius_arcsec > _MIN_COMPOUND_RADIUS_ARCSEC:
            return row, far_row
    raise ValueError(f"no compound lens in {_MAX_DRAWS} draws")


def _draw_deflector(rng: Generator, row: Row) -> Deflector:
    """Draw the lens galaxy of a row, now and then with the mass or with further members of a group."""
    x, y = catalogue_offset_arcsec(rng)
    is_group = rng.random() < _GROUP_SHARE
    sigma = row.velocity_dispersion_km_s
    if is_group:
        largest = min((MAX_VELOCITY_DISPERSION_KM_S / sigma) ** 2, EINSTEIN_RADII_ARCSEC[1] / row.einstein_radius_arcsec)
        sigma = min(sigma * float(np.sqrt(min(rng.uniform(*_GROUP_FACTORS), largest))), MAX_VELOCITY_DISPERSION_KM_S)
    angle = float(rng.uniform(0, np.pi))
    mass_q = mass_axis_ratio(rng, row.lens_axis_ratio)
    amplitude, shear_angle = float(rng.rayleigh(_SHEAR)), float(rng.uniform(0, 2 * np.pi))
    # The drawn shear is the one for this source.
    amplitude /= distance_ratio(row.z_lens, row.z_source)
    shear = (float(amplitude * np.cos(shear_angle)), float(amplitude * np.sin(shear_angle)))
    slope = 2.0
    if rng.random() < _OTHER_SLOPE_SHARE:
        slope = min(max(float(rng.normal(2.0, 0.15)), _SLOPES[0]), _SLOPES[1])
    mass = Mass(row.z_lens, x, y, sigma, mass_q, angle + float(rng.normal(0, 0.1)), shear, slope)
    light = lens_light(rng, row, x, y, angle)
    masses: tuple[Mass, ...] = (mass,)
    if rng.random() < (_MEMBERS_SHARE_OF_GROUPS if is_group else _MEMBERS_SHARE_OF_OTHERS):
        members = [_draw_member(rng, row, x, y) for _ in range(int(rng.integers(1, 4)))]
        light += tuple(galaxy for galaxy, _ in members)
        masses += tuple(halo for _, halo in members)
    return Deflector(x, y, light, masses)


def _draw_member(rng: Generator, row: Row, x: float, y: float) -> tuple[Light, Mass]:
    """Draw a smaller galaxy of the deflector's group; light, size and mass scale with the main galaxy's."""
    fainter_mag = float(rng.uniform(0.7, 3.0))
    low, high = _MEMBER_DISTANCES_ARCSEC
    dx, dy = polar(rng, low, high)
    # Faber & Jackson (1976), and radius ~ L^0.6 (Shen et al. 2003).
    sigma = row.velocity_dispersion_km_s * min(10 ** (-0.1 * fainter_mag + float(rng.normal(0, 0.05))), 0.95)
    radius = row.lens_half_light_radius_arcsec * 10 ** (-0.24 * fainter_mag + float(rng.normal(0, 0.1)))
    q, angle = float(rng.uniform(0.5, 1.0)), float(rng.uniform(0, np.pi))
    sed = early_type_sed(row.lens_vis_mag + fainter_mag, row.z_lens, rng)
    light = Sersic(x + dx, y + dy, max(radius, 0.08), float(rng.uniform(2.0, 4.5)), q, angle, sed)
    return light, Mass(row.z_lens, x + dx, y + dy, sigma, q, angle)


def _offsets(kind: Kind, radius_arcsec: float) -> tuple[float, float]:
    """Return the smallest and largest distance of a compound lens's source from the axis."""
    if kind == "double_ring":
        return 0.0, min(_RING_OFFSET * radius_arcsec, _RING_OFFSET_ARCSEC)
    return _ARC_OFFSETS[0] * radius_arcsec, _ARC_OFFSETS[1] * radius_arcsec
