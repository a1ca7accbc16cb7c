"""The preset `broad`: lenses that a forecast draws rarely, for training beside `euclid`.

Networks learn the population of their training as a prior: an arc that is brighter, or a ring that is larger or more crowded,
than the forecast draws, counts against a lens. This preset is flat in what the forecast makes rare, jointly: the Einstein
radius, the brightness, size, colour and shape of sources, the deflector's brightness and type, and galaxies inside the ring.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from simulation.lensing import distance_ratio, effective_einstein_radius_arcsec
from simulation.population.broad_sources import draw_broad_source
from simulation.population.colours import early_type_sed
from simulation.population.crowds import moved
from simulation.population.deflectors import (
    Deflector,
    at_distance,
    catalogue_offset_arcsec,
    lens_light,
    lens_system,
    mass_axis_ratio,
    polar,
)
from simulation.population.forecast import draw_compound_rows
from simulation.population.forecast_rows import Row, draw_row
from simulation.population.galaxies import total_vis_mag
from simulation.population.lens_sources import middle_mass
from simulation.population.shapes import Shape, disc, edge_on, pick, spiral
from simulation.systems import Kind, Light, Mass, Sersic, System

EINSTEIN_RADII_ARCSEC = (0.45, 4.0)
LARGEST_RADIUS_ARCSEC = 4.2
"""Largest Einstein radius of a deflector together with its group: a 10 arcsec stamp shows 5 arcsec about its centre."""
_FORECAST_RADIUS_SHARE = 0.3
"""Share of the lenses that keep the forecast's Einstein radius; the others' are uniform in the logarithm."""
_LARGEST_SIGMA_KM_S = 600.0
_LARGEST_CHANGE_MAG = 1.5
"""Largest change of the deflector's light with its mass: the larger radii are those of groups."""
_DIM_SHARE, _DIM_MAG = 0.5, 2.5
"""Share of deflectors that are fainter than their mass implies, and by how much at most."""
_BRIGHTER_MAG, _BRIGHTEST_SOURCE_MAG = 4.0, 20.0
_SOURCE_GROWTH, _SOURCE_SIZE_SCATTER, _SOURCE_RADII_ARCSEC = 0.15, 0.5, (0.03, 1.2)
"""Growth of sources with brightness in ln per magnitude, scatter in ln, and the range of half-light radii."""
_LATE_SHARE = 1 / 7
_RED_SHARE, _MIDDLE_RED_SHARE = 0.4, 0.5
_CROWDED, _GROUP, _CLUSTER, _ALONE = 0.36, 0.12, 0.08, 0.44
"""Shares of deflectors with further galaxies inside the ring, in a loose group, in a cluster, and alone."""
_INSIDE_EINSTEIN_RADII, _NEAREST_ARCSEC = (0.2, 1.6), 0.3
"""Distances of a crowded core's galaxies, in Einstein radii, and the least distance."""
_GROUP_ARCSEC, _BRIGHTEST_ARCSEC, _SATELLITES_ARCSEC = (1.5, 6.0), (4.0, 9.0), (1.0, 6.0)
"""Distances of a group's members, of a cluster's brightest galaxy, and of a cluster's other galaxies."""
_SHEAR, _CLUSTER_SHEARS = 0.032, (0.05, 0.2)
"""Rayleigh scale of the shear, and its range in clusters."""
_OTHER_SLOPE_SHARE, _SLOPES = 1 / 3, (1.7, 2.3)
_FARTHEST_SOURCE = 0.95
_ARC_OFFSETS, _FAR_ARC_OFFSETS, _RING_OFFSETS = (0.2, 0.9), (0.1, 0.9), (0.0, 0.3)
"""Distances of sources from the axis in Einstein radii for their redshift: of a compound arc's two, and of a double ring's."""
_MAX_DRAWS = 200


@dataclass(frozen=True)
class _Surroundings:
    """Galaxies about a deflector: those that count as its group, with mass, and light of a cluster that is farther out."""

    light: tuple[Light, ...] = ()
    masses: tuple[Mass, ...] = ()
    cluster_light: tuple[Light, ...] = ()
    shear: tuple[float, float] | None = None
    """Shear of a cluster, for an infinitely distant source; None outside clusters."""


def draw_lens(kind: Kind, rng: Generator, detector_angle_deg: float) -> System:
    """Draw a lens with the galaxies of its group or cluster. Only rendering shows whether its arcs are visible.

    Raises:
        ValueError: the kind is not a lens.
    """
    if kind not in {"single", "compound_arc", "double_ring"}:
        raise ValueError(f"kind must be single, compound_arc or double_ring, got {kind!r}")
    for _ in range(_MAX_DRAWS):
        system = _draw_single(rng, detector_angle_deg) if kind == "single" else _draw_compound(kind, rng, detector_angle_deg)
        if _fits_the_stamp(system):
            return system
    raise ValueError(f"no {kind} with Einstein radii below {LARGEST_RADIUS_ARCSEC} arcsec in {_MAX_DRAWS} draws")


def _fits_the_stamp(system: System) -> bool:
    """Return whether the Einstein radii of all masses together are small enough, and not 0."""
    redshifts = [z for z in (system.z_source1, system.z_source2) if z is not None]
    try:
        return all(effective_einstein_radius_arcsec(system.masses, z) < LARGEST_RADIUS_ARCSEC for z in redshifts)
    except ValueError:
        return False


def _draw_single(rng: Generator, detector_angle_deg: float) -> System:
    row = widened(rng, draw_row(rng))
    deflector, cluster_light = _draw_deflector(rng, row)
    x, y = at_distance(rng, deflector, 0.0, _FARTHEST_SOURCE * deflector.radius_arcsec(row.z_source))
    source = draw_broad_source(rng, x, y, row.z_source, row, _RED_SHARE)
    return lens_system("single", deflector, [(row.z_source, source)], detector_angle_deg, neighbours=cluster_light)


def _draw_compound(kind: Kind, rng: Generator, detector_angle_deg: float) -> System:
    """Draw a deflector, a massive galaxy behind it that is both lensed and a lens, and a source behind both."""
    row, far_row = (widened(rng, drawn) for drawn in draw_compound_rows(rng))
    deflector, cluster_light = _draw_deflector(rng, row)
    near, far = (_RING_OFFSETS, _RING_OFFSETS) if kind == "double_ring" else (_ARC_OFFSETS, _FAR_ARC_OFFSETS)
    radius1, radius2 = (deflector.radius_arcsec(z) for z in (row.z_source, far_row.z_source))
    x1, y1 = at_distance(rng, deflector, near[0] * radius1, near[1] * radius1)
    x2, y2 = at_distance(rng, deflector, far[0] * radius2, far[1] * radius2)
    source1 = draw_broad_source(rng, x1, y1, row.z_source, row, _MIDDLE_RED_SHARE)
    middle = middle_mass(rng, source1, row.z_source, deflector.mass.velocity_dispersion_km_s)
    source2 = draw_broad_source(rng, x2, y2, far_row.z_source, far_row, _RED_SHARE)
    sources = [(row.z_source, source1), (far_row.z_source, source2)]
    return lens_system(kind, deflector, sources, detector_angle_deg, (middle,), neighbours=cluster_light)


def widened(rng: Generator, row: Row) -> Row:
    """Return a lens of the forecast with another Einstein radius, a brighter source, and perhaps a fainter deflector."""
    row = _resized(rng, row)
    if rng.random() < _DIM_SHARE:
        fainter = float(rng.uniform(0, _DIM_MAG))
        radius = max(row.lens_half_light_radius_arcsec * 10 ** (-0.12 * fainter), 0.08)
        row = replace(row, lens_vis_mag=row.lens_vis_mag + fainter, lens_half_light_radius_arcsec=radius)
    brighter = float(rng.uniform(0, _BRIGHTER_MAG))
    growth = float(np.exp(rng.normal(_SOURCE_GROWTH * brighter, _SOURCE_SIZE_SCATTER)))
    return replace(
        row,
        source_vis_mag=max(row.source_vis_mag - brighter, _BRIGHTEST_SOURCE_MAG),
        source_half_light_radius_arcsec=float(np.clip(row.source_half_light_radius_arcsec * growth, *_SOURCE_RADII_ARCSEC)),
    )


def _resized(rng: Generator, row: Row) -> Row:
    """Return the row with the mass for another Einstein radius, and light and size that go with the mass."""
    if rng.random() < _FORECAST_RADIUS_SHARE:
        return row
    radius = float(np.exp(rng.uniform(*np.log(EINSTEIN_RADII_ARCSEC))))
    old_sigma = row.velocity_dispersion_km_s
    sigma = min(old_sigma * float(np.sqrt(radius / row.einstein_radius_arcsec)), _LARGEST_SIGMA_KM_S)
    # Faber & Jackson (1976), and radius ~ L^0.6 (Shen et al. 2003).
    brighter = float(np.clip(10 * np.log10(sigma / old_sigma), -_LARGEST_CHANGE_MAG, _LARGEST_CHANGE_MAG))
    return replace(
        row,
        velocity_dispersion_km_s=sigma,
        lens_vis_mag=row.lens_vis_mag - brighter,
        lens_half_light_radius_arcsec=min(row.lens_half_light_radius_arcsec * 10 ** (0.24 * brighter), 2.5),
    )


def _draw_deflector(rng: Generator, row: Row) -> tuple[Deflector, tuple[Light, ...]]:
    """Draw the lens galaxy of a row with its surroundings; return the light of a cluster apart."""
    x, y = catalogue_offset_arcsec(rng)
    light, angle = _lens_galaxy(rng, row, x, y)
    around = _draw_surroundings(rng, row, x, y)
    sigma = row.velocity_dispersion_km_s
    if len(around.masses) > 1:
        # The members add to the Einstein radius.
        sigma *= 0.9
    shear = around.shear or _field_shear(rng, row)
    slope = 2.0
    if rng.random() < _OTHER_SLOPE_SHARE:
        slope = min(max(float(rng.normal(2.0, 0.15)), _SLOPES[0]), _SLOPES[1])
    q = mass_axis_ratio(rng, row.lens_axis_ratio)
    mass = Mass(row.z_lens, x, y, sigma, q, angle + float(rng.normal(0, 0.1)), shear, slope)
    return Deflector(x, y, (*light, *around.light), (mass, *around.masses)), around.cluster_light


def draw_members_inside(rng: Generator, system: System, n: int) -> tuple[tuple[Light, ...], tuple[Mass, ...]]:
    """Draw `n` galaxies of a lens's group in and about its ring, with light and mass that scale with the deflector's."""
    deflector, z_source = system.masses[0], system.z_source1 or 0.0
    radius = system.galaxy[0].half_light_radius_arcsec if isinstance(system.galaxy[0], Sersic) else 0.5
    row = Row(
        z_lens=system.z_lens,
        z_source=z_source,
        velocity_dispersion_km_s=deflector.velocity_dispersion_km_s,
        lens_vis_mag=total_vis_mag(system.galaxy),
        lens_half_light_radius_arcsec=radius,
        source_vis_mag=total_vis_mag(system.source1),
        source_half_light_radius_arcsec=radius,
        lens_axis_ratio=deflector.axis_ratio,
        source_axis_ratio=1.0,
    )
    around = _crowded(rng, row, deflector.x_arcsec, deflector.y_arcsec, n)
    return around.light, around.masses


def _lens_galaxy(rng: Generator, row: Row, x: float, y: float) -> tuple[tuple[Light, ...], float]:
    """Draw the light of a lens galaxy of early or late type, and return it with its angle."""
    if rng.random() >= _LATE_SHARE:
        angle = float(rng.uniform(0, np.pi))
        return lens_light(rng, row, x, y, angle), angle
    shape: Shape = pick(rng, (1, disc), (1, spiral), (1, edge_on))
    light = shape(rng, row.lens_vis_mag, row.z_lens)
    middle = light[0]
    if not isinstance(middle, Sersic):
        raise TypeError(f"a galaxy's first component must be a Sersic profile, got {type(middle).__name__}")
    return moved(light, x, y, row.lens_vis_mag - total_vis_mag(light)), middle.angle_rad


def _field_shear(rng: Generator, row: Row) -> tuple[float, float]:
    amplitude = float(rng.rayleigh(_SHEAR)) / distance_ratio(row.z_lens, row.z_source)
    direction = float(rng.uniform(0, 2 * np.pi))
    return amplitude * float(np.cos(direction)), amplitude * float(np.sin(direction))


def _draw_surroundings(rng: Generator, row: Row, x: float, y: float) -> _Surroundings:
    where = pick(rng, (_CROWDED, "crowded"), (_GROUP, "group"), (_CLUSTER, "cluster"), (_ALONE, "alone"))
    if where == "crowded":
        return _crowded(rng, row, x, y, int(rng.integers(1, 4)))
    if where == "group":
        return _members(rng, row, x, y, int(rng.integers(1, 5)), _GROUP_ARCSEC, (0.3, 3.0))
    return _cluster(rng, row, x, y) if where == "cluster" else _Surroundings()


def _crowded(rng: Generator, row: Row, x: float, y: float, n: int) -> _Surroundings:
    low, high = (factor * row.einstein_radius_arcsec for factor in _INSIDE_EINSTEIN_RADII)
    low = max(low, _NEAREST_ARCSEC)
    return _members(rng, row, x, y, n, (low, max(high, low)), (-0.3, 2.8))


def _members(
    rng: Generator,
    row: Row,
    x: float,
    y: float,
    n: int,
    distances_arcsec: tuple[float, float],
    fainter_mags: tuple[float, float],
) -> _Surroundings:
    members = [_draw_member(rng, row, x, y, distances_arcsec, float(rng.uniform(*fainter_mags))) for _ in range(n)]
    return _Surroundings(tuple(light for light, _ in members), tuple(mass for _, mass in members))


def _draw_member(
    rng: Generator, row: Row, x: float, y: float, distances_arcsec: tuple[float, float], fainter_mag: float
) -> tuple[Light, Mass]:
    """Draw a galaxy at the deflector's redshift, whose light, size and mass scale with the main galaxy's."""
    dx, dy = polar(rng, *distances_arcsec)
    sigma = row.velocity_dispersion_km_s * min(10 ** (-0.1 * fainter_mag + float(rng.normal(0, 0.08))), 0.95)
    radius = max(row.lens_half_light_radius_arcsec * 10 ** (-0.24 * fainter_mag + float(rng.normal(0, 0.1))), 0.08)
    q, angle = float(rng.uniform(0.4, 1.0)), float(rng.uniform(0, np.pi))
    sed = early_type_sed(row.lens_vis_mag + fainter_mag, row.z_lens, rng)
    light = Sersic(x + dx, y + dy, radius, float(rng.uniform(1.5, 5.0)), q, angle, sed)
    return light, Mass(row.z_lens, x + dx, y + dy, sigma, q, angle)


def _cluster(rng: Generator, row: Row, x: float, y: float) -> _Surroundings:
    """Draw a cluster: its brightest galaxy, which gives the direction of the shear, and several others."""
    distance, direction = float(rng.uniform(*_BRIGHTEST_ARCSEC)), float(rng.uniform(0, 2 * np.pi))
    mag = row.lens_vis_mag - float(rng.uniform(0.3, 2.0))
    sed = early_type_sed(mag, row.z_lens, rng)
    at = x + distance * float(np.cos(direction)), y + distance * float(np.sin(direction))
    brightest = Sersic(
        *at,
        float(rng.uniform(1.0, 2.5)),
        float(rng.uniform(3.0, 5.0)),
        float(rng.uniform(0.5, 1.0)),
        float(rng.uniform(0, np.pi)),
        sed,
    )
    others = _members(rng, row, x, y, int(rng.integers(2, 7)), _SATELLITES_ARCSEC, (0.3, 3.5))
    # Mass in one direction stretches images across it: a perturber at the azimuth phi has the shear -g (cos 2 phi, sin 2 phi).
    shear = float(rng.uniform(*_CLUSTER_SHEARS)) / distance_ratio(row.z_lens, row.z_source)
    return _Surroundings(
        others.light,
        others.masses,
        (brightest,),
        (-shear * float(np.cos(2 * direction)), -shear * float(np.sin(2 * direction))),
    )
