"""The preset `euclid`: lenses of the forecast of Collett (2015), with groups, shear, uneven sources and compound lenses."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from simulation.lensing import distance_ratio, einstein_radius_arcsec
from simulation.population.colours import early_type_sed, star_forming_sed
from simulation.population.forecast_rows import EINSTEIN_RADII_ARCSEC, Row, draw_row
from simulation.population.scaling import FADING_MAG_PER_Z, faber_jackson_velocity_dispersion_km_s
from simulation.systems import Kind, Light, Mass, Sersic, System

MAX_VELOCITY_DISPERSION_KM_S = 450.0
MIDDLE_VELOCITY_DISPERSIONS_KM_S = (80.0, 280.0)
"""Range of galaxy 1 of a compound lens, which is also smaller than the deflector's dispersion."""
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
_CLUMPY_SHARE = 0.5
_FARTHEST_SOURCE = 0.95
_ARC_OFFSETS = (0.3, 0.9)
_RING_OFFSET, _RING_OFFSET_ARCSEC = 0.3, 0.25
"""Distances of sources from the axis, in Einstein radii for their redshift unless the name ends in arcsec."""
_MIN_RADIUS_ARCSEC = 0.03
_MAX_DRAWS = 1000


@dataclass(frozen=True)
class _Deflector:
    x_arcsec: float
    y_arcsec: float
    light: tuple[Light, ...]
    masses: tuple[Mass, ...]
    """The deflector first, then its group's members."""

    @property
    def mass(self) -> Mass:
        return self.masses[0]

    def radius_arcsec(self, z_source: float) -> float:
        """Return the Einstein radius of the deflector alone, taken as isothermal."""
        return einstein_radius_arcsec(self.mass.velocity_dispersion_km_s, self.mass.z, z_source)


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
    x, y = _at_distance(rng, deflector, 0.0, _FARTHEST_SOURCE * deflector.radius_arcsec(row.z_source))
    return System(
        kind="single",
        lookalike=None,
        z_lens=row.z_lens,
        z_source1=row.z_source,
        z_source2=None,
        masses=deflector.masses,
        galaxy=deflector.light,
        source1=_draw_source(rng, x, y, row.z_source, row),
        source2=(),
        neighbours=(),
        velocity_dispersion_km_s=deflector.mass.velocity_dispersion_km_s,
        detector_angle_deg=float(detector_angle_deg),
    )


def _draw_compound(kind: Kind, rng: Generator, detector_angle_deg: float) -> System:
    """Draw a deflector, a massive galaxy behind it that is both lensed and a lens, and a source behind both."""
    row, far_row = _draw_compound_rows(rng)
    deflector = _draw_deflector(rng, row)
    redshifts = (row.z_source, far_row.z_source)
    (x1, y1), (x2, y2) = (_at_distance(rng, deflector, *_offsets(kind, deflector.radius_arcsec(z))) for z in redshifts)
    source1 = _draw_source(rng, x1, y1, row.z_source, row, _MIDDLE_RED_SHARE)
    sigma = deflector.mass.velocity_dispersion_km_s
    return System(
        kind=kind,
        lookalike=None,
        z_lens=row.z_lens,
        z_source1=row.z_source,
        z_source2=far_row.z_source,
        masses=(*deflector.masses, _middle_mass(rng, source1, row.z_source, sigma)),
        galaxy=deflector.light,
        source1=source1,
        source2=_draw_source(rng, x2, y2, far_row.z_source, far_row),
        neighbours=(),
        velocity_dispersion_km_s=sigma,
        detector_angle_deg=float(detector_angle_deg),
    )


def _draw_compound_rows(rng: Generator) -> tuple[Row, Row]:
    """Draw a massive lens with its source, and another lens's source at a larger redshift."""
    for _ in range(_MAX_DRAWS):
        row, far_row = draw_row(rng), draw_row(rng)
        is_far = row.z_source + _MIN_SOURCE_GAP < far_row.z_source < _MAX_Z
        is_massive = row.source_vis_mag < _MIDDLE_BRIGHTER_THAN_MAG
        if is_far and is_massive and row.einstein_radius_arcsec > _MIN_COMPOUND_RADIUS_ARCSEC:
            return row, far_row
    raise ValueError(f"no compound lens in {_MAX_DRAWS} draws")


def _draw_deflector(rng: Generator, row: Row) -> _Deflector:
    """Draw the lens galaxy of a row, now and then with the mass or with further members of a group."""
    # Catalogue positions are off the galaxy's centre by 0.06 arcsec, one in five by 0.2.
    x, y = rng.normal(0, 0.2 if rng.random() < 0.2 else 0.06, 2).tolist()
    is_group = rng.random() < _GROUP_SHARE
    sigma = row.velocity_dispersion_km_s
    if is_group:
        largest = min((MAX_VELOCITY_DISPERSION_KM_S / sigma) ** 2, EINSTEIN_RADII_ARCSEC[1] / row.einstein_radius_arcsec)
        sigma = min(sigma * float(np.sqrt(min(rng.uniform(*_GROUP_FACTORS), largest))), MAX_VELOCITY_DISPERSION_KM_S)
    angle = float(rng.uniform(0, np.pi))
    # The axis ratio of the mass scatters about that of the light, and the two are nearly aligned.
    mass_q = min(max(row.lens_axis_ratio + float(rng.normal(0, 0.08)), 0.4), 0.98)
    amplitude, shear_angle = float(rng.rayleigh(_SHEAR)), float(rng.uniform(0, 2 * np.pi))
    # The drawn shear is the one for this source.
    amplitude /= distance_ratio(row.z_lens, row.z_source)
    shear = (float(amplitude * np.cos(shear_angle)), float(amplitude * np.sin(shear_angle)))
    slope = 2.0
    if rng.random() < _OTHER_SLOPE_SHARE:
        slope = min(max(float(rng.normal(2.0, 0.15)), _SLOPES[0]), _SLOPES[1])
    mass = Mass(row.z_lens, x, y, sigma, mass_q, angle + float(rng.normal(0, 0.1)), shear, slope)
    light = _lens_light(rng, row, x, y, angle)
    masses: tuple[Mass, ...] = (mass,)
    if rng.random() < (_MEMBERS_SHARE_OF_GROUPS if is_group else _MEMBERS_SHARE_OF_OTHERS):
        members = [_draw_member(rng, row, x, y) for _ in range(int(rng.integers(1, 4)))]
        light += tuple(galaxy for galaxy, _ in members)
        masses += tuple(halo for _, halo in members)
    return _Deflector(x, y, light, masses)


def _lens_light(rng: Generator, row: Row, x: float, y: float, angle: float) -> tuple[Light, ...]:
    """Draw a spheroid, one time in four with an extended envelope."""
    sed = early_type_sed(row.lens_vis_mag, row.z_lens, rng)
    radius, q = row.lens_half_light_radius_arcsec, row.lens_axis_ratio
    index = min(max(float(rng.normal(4.0, 0.7)), 2.2), 6.5)
    if rng.random() < 0.75:
        return (Sersic(x, y, radius, index, q, angle, sed),)
    share = float(rng.uniform(0.1, 0.35))
    envelope_q = min(q + float(rng.uniform(0, 0.2)), 1.0)
    return (
        Sersic(x, y, 0.8 * radius, index, q, angle, sed.share(1 - share)),
        Sersic(x, y, float(rng.uniform(1.5, 2.5)) * radius, 1.0, envelope_q, angle, sed.share(share)),
    )


def _draw_member(rng: Generator, row: Row, x: float, y: float) -> tuple[Light, Mass]:
    """Draw a smaller galaxy of the deflector's group; light, size and mass scale with the main galaxy's."""
    fainter_mag = float(rng.uniform(0.7, 3.0))
    low, high = _MEMBER_DISTANCES_ARCSEC
    dx, dy = _polar(rng, low, high)
    # Faber & Jackson (1976), and radius ~ L^0.6 (Shen et al. 2003).
    sigma = row.velocity_dispersion_km_s * min(10 ** (-0.1 * fainter_mag + float(rng.normal(0, 0.05))), 0.95)
    radius = row.lens_half_light_radius_arcsec * 10 ** (-0.24 * fainter_mag + float(rng.normal(0, 0.1)))
    q, angle = float(rng.uniform(0.5, 1.0)), float(rng.uniform(0, np.pi))
    sed = early_type_sed(row.lens_vis_mag + fainter_mag, row.z_lens, rng)
    light = Sersic(x + dx, y + dy, max(radius, 0.08), float(rng.uniform(2.0, 4.5)), q, angle, sed)
    return light, Mass(row.z_lens, x + dx, y + dy, sigma, q, angle)


def _draw_source(rng: Generator, x: float, y: float, z: float, row: Row, red_share: float = _RED_SHARE) -> tuple[Light, ...]:
    """Draw the source of a row: blue and exponential or clumpy, or red."""
    mag, q, angle = row.source_vis_mag, row.source_axis_ratio, float(rng.uniform(0, np.pi))
    radius = max(row.source_half_light_radius_arcsec, _MIN_RADIUS_ARCSEC)
    if rng.random() < red_share:
        is_old = rng.random() < 0.5
        sed = early_type_sed(mag, z, rng) if is_old else star_forming_sed(mag, z, rng, float(rng.uniform(0.4, 0.9)))
        index = float(rng.uniform(2.0, 4.0) if is_old else rng.uniform(0.7, 2.0))
        return (Sersic(x, y, radius, index, q, angle, sed),)
    n_knots = int(rng.integers(1, 5)) if rng.random() < _CLUMPY_SHARE else 0
    in_knots = float(rng.uniform(0.1, 0.5)) if n_knots else 0.0
    sed = star_forming_sed(mag, z, rng)
    disc = Sersic(x, y, radius, float(rng.uniform(0.7, 1.5)), q, angle, sed.share(1 - in_knots))
    return (disc, *(_draw_knot(rng, disc, z, mag, in_knots / n_knots) for _ in range(n_knots)))


def _draw_knot(rng: Generator, disc: Sersic, z: float, mag: float, share: float) -> Light:
    """Draw a star-forming knot in a disc, young and with little dust."""
    radius = disc.half_light_radius_arcsec
    major, minor = rng.normal(0, 0.7 * radius, 2) * (1.0, disc.axis_ratio)
    cos, sin = np.cos(disc.angle_rad), np.sin(disc.angle_rad)
    x, y = float(disc.x_arcsec + cos * major - sin * minor), float(disc.y_arcsec + sin * major + cos * minor)
    sed = star_forming_sed(mag, z, rng, float(rng.uniform(0, 0.15))).share(share)
    return Sersic(x, y, float(rng.uniform(0.02, 0.08)), 1.0, float(rng.uniform(0.7, 1.0)), disc.angle_rad, sed)


def _middle_mass(rng: Generator, light: tuple[Light, ...], z: float, deflector_sigma_km_s: float) -> Mass:
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


def _offsets(kind: Kind, radius_arcsec: float) -> tuple[float, float]:
    """Return the smallest and largest distance of a compound lens's source from the axis."""
    if kind == "double_ring":
        return 0.0, min(_RING_OFFSET * radius_arcsec, _RING_OFFSET_ARCSEC)
    return _ARC_OFFSETS[0] * radius_arcsec, _ARC_OFFSETS[1] * radius_arcsec


def _at_distance(rng: Generator, deflector: _Deflector, low_arcsec: float, high_arcsec: float) -> tuple[float, float]:
    dx, dy = _polar(rng, low_arcsec, high_arcsec)
    return deflector.x_arcsec + dx, deflector.y_arcsec + dy


def _polar(rng: Generator, low_arcsec: float, high_arcsec: float) -> tuple[float, float]:
    """Draw a point between two circles, uniform in area."""
    distance = float(np.sqrt(rng.uniform(low_arcsec**2, high_arcsec**2)))
    direction = float(rng.uniform(0, 2 * np.pi))
    return distance * float(np.cos(direction)), distance * float(np.sin(direction))
