"""Lens galaxies with their mass, and positions about them: what the presets `euclid` and `broad` have in common."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from simulation.lensing import einstein_radius_arcsec
from simulation.population.colours import early_type_sed
from simulation.population.forecast_rows import Row
from simulation.systems import Kind, Light, Mass, Sersic, System


@dataclass(frozen=True)
class Deflector:
    """A lens galaxy with the galaxies of its group."""

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


def catalogue_offset_arcsec(rng: Generator) -> tuple[float, float]:
    """Draw the distance of a galaxy from its position in a catalogue: 0.06 arcsec along each axis, for one in five 0.2."""
    x, y = rng.normal(0, 0.2 if rng.random() < 0.2 else 0.06, 2).tolist()
    return x, y


def mass_axis_ratio(rng: Generator, light_axis_ratio: float) -> float:
    """Draw the axis ratio of the mass, which scatters about that of the light."""
    return min(max(light_axis_ratio + float(rng.normal(0, 0.08)), 0.4), 0.98)


def lens_light(rng: Generator, row: Row, x: float, y: float, angle: float) -> tuple[Light, ...]:
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


def lens_system(
    kind: Kind,
    deflector: Deflector,
    sources: Sequence[tuple[float, tuple[Light, ...]]],
    detector_angle_deg: float,
    middle: tuple[Mass, ...] = (),
    neighbours: tuple[Light, ...] = (),
) -> System:
    """Return the lens of a deflector and one or two sources, each with its redshift, the nearer first.

    `middle` is the mass of the nearer source of a compound lens; `neighbours` is light that belongs to neither.
    """
    (z_source1, source1), *behind = sources
    z_source2, source2 = behind[0] if behind else (None, ())
    return System(
        kind=kind,
        lookalike=None,
        z_lens=deflector.mass.z,
        z_source1=z_source1,
        z_source2=z_source2,
        masses=(*deflector.masses, *middle),
        galaxy=deflector.light,
        source1=source1,
        source2=source2,
        neighbours=neighbours,
        velocity_dispersion_km_s=deflector.mass.velocity_dispersion_km_s,
        detector_angle_deg=float(detector_angle_deg),
    )


def at_distance(rng: Generator, deflector: Deflector, low_arcsec: float, high_arcsec: float) -> tuple[float, float]:
    """Draw a point between two circles about a deflector, uniform in area."""
    dx, dy = polar(rng, low_arcsec, high_arcsec)
    return deflector.x_arcsec + dx, deflector.y_arcsec + dy


def polar(rng: Generator, low_arcsec: float, high_arcsec: float) -> tuple[float, float]:
    """Draw a point between two circles about the origin, uniform in area."""
    distance = float(np.sqrt(rng.uniform(low_arcsec**2, high_arcsec**2)))
    direction = float(rng.uniform(0, 2 * np.pi))
    return distance * float(np.cos(direction)), distance * float(np.sin(direction))
