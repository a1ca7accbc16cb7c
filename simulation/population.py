"""What there is to observe: one `System` of each kind, drawn from a random generator.

Numbers follow the forecast of lenses in Euclid of Collett (2015, ApJ 811, 20), restricted to lenses one can hope to recognise.
Fits quoted as "forecast" are to its public table of 16 000 lenses.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np
from numpy.random import Generator

from scanner.pixels.bands import EUCLID
from scanner.pixels.shards import KINDS
from simulation.galaxies import Light, Sed, SpiralArms
from simulation.lensing import Mass, velocity_dispersion_km_s

Kind = Literal["nonlens", "single", "compound_arc", "double_ring"]
if get_args(Kind) != KINDS:
    raise ImportError(f"kinds must be those of the shard format, {KINDS}, got {get_args(Kind)}")

EINSTEIN_RADII_ARCSEC = (0.5, 2.5)
LENS_VIS_MAGS = (18.0, 22.0)
SOURCE_VIS_MAGS = (22.0, 25.5)
FAINT_VIS_MAGS = (22.0, 25.0)
VELOCITY_DISPERSIONS_KM_S = (150.0, 400.0)
NEIGHBOUR_VIS_MAGS = (19.0, 25.5)
N_NEIGHBOURS_IN_FIELD = 6.0
"""Mean number within `FIELD_SIDE_ARCSEC`."""
FIELD_SIDE_ARCSEC = 22.0
_DOUBLE_RING_BOX_ARCSEC = 0.25
"""Half side of the box of source positions (Wilde et al. 2022, table 1)."""
_MAX_DRAWS = 1000


@dataclass(frozen=True)
class System:
    """Everything about an object but the noise. Positions are relative to the stamp's centre; None where there is none."""

    kind: Kind
    z_lens: float
    z_source1: float | None
    z_source2: float | None
    masses: tuple[Mass, ...]
    """The deflector, then galaxy 1 of a compound lens."""
    galaxy: tuple[Light, ...]
    """The lens galaxy's components, or the plain galaxy's."""
    source1: tuple[Light, ...]
    """Where it is, not where it is seen."""
    source2: tuple[Light, ...]
    neighbours: tuple[Light, ...]
    velocity_dispersion_km_s: float | None
    detector_angle_deg: float

    @property
    def is_compound(self) -> bool:
        return bool(self.source2)


def draw_system(kind: Kind, rng: Generator) -> System:
    """A system of a kind. Whether its arcs can be seen is found out by rendering it.

    Raises:
        ValueError: the kind is unknown.
    """
    if kind not in _DRAW:
        raise ValueError(f"kind must be one of {KINDS}, got {kind!r}")
    return _DRAW[kind](rng)


def draw_galaxy(rng: Generator, vis_mag: float | None = None) -> tuple[float, tuple[Light, ...]]:
    """Redshift and light of a galaxy that lenses nothing: half are twins of lens galaxies, the rest discs and spirals.

    Args:
        rng: Source of randomness.
        vis_mag: Of a disc or spiral; drawn when not given. Given, no twin is drawn.
    """
    x, y = _centring(rng)
    if vis_mag is None and rng.random() < 0.5:
        # In the proportion of the default data set, so that a bright host tells nothing.
        twin = _draw_compound_deflector(rng, x, y) if rng.random() < 0.4 else _draw_single_deflector(rng, x, y)
        return twin.mass.z, (twin.light,)
    if vis_mag is None:
        # Most rows of a survey catalogue are faint: a network that never saw one calls it anything.
        vis_mag = rng.uniform(*(FAINT_VIS_MAGS if rng.random() < 0.4 else LENS_VIS_MAGS))
    return float(rng.uniform(0.1, 1.2)), _draw_disc(rng, x, y, vis_mag)


@dataclass(frozen=True)
class _Deflector:
    mass: Mass
    light: Light
    z_source: float
    radius_arcsec: float
    """Einstein radius for `z_source`."""


def _draw_nonlens(rng: Generator) -> System:
    z, light = draw_galaxy(rng)
    return System("nonlens", z, None, None, (), light, (), (), draw_neighbours(rng), None, _detector_angle(rng))


def _draw_single(rng: Generator) -> System:
    x, y = _centring(rng)
    deflector = _draw_single_deflector(rng, x, y)
    radius = deflector.radius_arcsec
    # The density of sources grows with area; far outside the caustic there is no second image.
    offset, direction = 0.9 * radius * np.sqrt(rng.random()), rng.uniform(0, 2 * np.pi)
    at = (x + offset * np.cos(direction), y + offset * np.sin(direction))
    source = _draw_source(rng, *at, _source_mag(rng))
    sigma = deflector.mass.velocity_dispersion_km_s
    return System(
        "single",
        deflector.mass.z,
        deflector.z_source,
        None,
        (deflector.mass,),
        (deflector.light,),
        source,
        (),
        draw_neighbours(rng),
        sigma,
        _detector_angle(rng),
    )


def _draw_compound(rng: Generator, kind: Kind) -> System:
    """A deflector, a massive galaxy behind it that is lensed and lenses, and a source behind both."""
    x, y = _centring(rng)
    deflector = _draw_compound_deflector(rng, x, y)
    radius = deflector.radius_arcsec
    z1 = deflector.z_source
    z2 = min(z1 + rng.uniform(0.4, 2.5), 4.0)
    offsets = []
    for _ in range(2):
        if kind == "double_ring":
            half = min(_DOUBLE_RING_BOX_ARCSEC, 0.3 * radius)
            offsets.append(rng.uniform(-half, half, 2))
        else:
            distance, direction = radius * np.sqrt(rng.uniform(0.1, 0.8)), rng.uniform(0, 2 * np.pi)
            offsets.append(distance * np.array([np.cos(direction), np.sin(direction)]))
    x1, y1 = x + offsets[0][0], y + offsets[0][1]
    sigma1 = float(rng.uniform(100, 0.95 * deflector.mass.velocity_dispersion_km_s))
    mag1 = np.clip(_early_type_mag(sigma1, z1) + rng.normal(-0.3, 0.5), *SOURCE_VIS_MAGS)
    source1 = _draw_source(rng, x1, y1, float(mag1))
    # Light and mass of galaxy 1 share their ellipse.
    mass1 = Mass(z1, x1, y1, sigma1, max(source1[0].axis_ratio, 0.5), source1[0].angle_rad)
    source2 = _draw_source(rng, x + offsets[1][0], y + offsets[1][1], _source_mag(rng))
    sigma = deflector.mass.velocity_dispersion_km_s
    return System(
        kind,
        deflector.mass.z,
        z1,
        z2,
        (deflector.mass, mass1),
        (deflector.light,),
        source1,
        source2,
        draw_neighbours(rng),
        sigma,
        _detector_angle(rng),
    )


def draw_neighbours(rng: Generator) -> tuple[Light, ...]:
    """Galaxies that happen to lie near, the same for every kind; none on top of the object."""
    # Some fields are rich.
    mean = N_NEIGHBOURS_IN_FIELD * float(np.exp(rng.normal(0, 0.35)))
    neighbours: list[Light] = []
    for _ in range(int(rng.poisson(mean))):
        x, y = rng.uniform(-FIELD_SIDE_ARCSEC / 2, FIELD_SIDE_ARCSEC / 2, 2)
        if np.hypot(x, y) > 1.2:
            neighbours += draw_field_galaxy(rng, float(x), float(y), field_mag(rng, NEIGHBOUR_VIS_MAGS))
    return tuple(neighbours)


def field_mag(rng: Generator, mag_range: tuple[float, float]) -> float:
    """VIS magnitude of a field galaxy: counts grow as 10^(0.3 mag)."""
    low, high = (10 ** (0.3 * m) for m in mag_range)
    return float(np.log10(rng.uniform(low, high)) / 0.3)


def draw_field_galaxy(rng: Generator, x_arcsec: float, y_arcsec: float, vis_mag: float) -> tuple[Light, ...]:
    """A galaxy of the field: mostly discs, some red and compact."""
    radius = 10 ** (-0.45 - 0.11 * (vis_mag - 22) + rng.normal(0, 0.15))
    is_red = rng.random() < 0.25
    index = rng.uniform(2.5, 4.5) if is_red else rng.uniform(0.8, 1.8)
    color = rng.uniform(1.2, 2.6) if is_red else rng.normal(0.8, 0.35)
    q, angle = rng.uniform(0.35, 1.0), rng.uniform(0, np.pi)
    return (Light(x_arcsec, y_arcsec, float(radius), index, q, angle, draw_sed(rng, vis_mag, color)),)


def draw_sed(rng: Generator, vis_mag: float, vis_minus_h: float) -> Sed:
    """Magnitudes on a line in log wavelength, with 0.06 mag of scatter in Y and J."""
    departures = {band: float(rng.normal(0, 0.06)) for band in EUCLID if band not in {"VIS", "H"}}
    return Sed(float(vis_mag), float(vis_minus_h), MappingProxyType(departures))


def _draw_single_deflector(rng: Generator, x: float, y: float) -> _Deflector:
    # Median 0.65 arcsec in the forecast, 0.83 of those above 0.5 arcsec with VIS magnitudes 17.5-22.5 and sources < 25.5.
    return _draw_deflector(rng, x, y, _draw_radius(rng, 0.85, EINSTEIN_RADII_ARCSEC), (0.6, 3.2))


def _draw_compound_deflector(rng: Generator, x: float, y: float) -> _Deflector:
    # Two sets of arcs are told apart about the more massive galaxies, with a source near enough for another behind it.
    return _draw_deflector(rng, x, y, _draw_radius(rng, 1.1, (0.7, 2.2)), (0.5, 1.6))


def _draw_deflector(
    rng: Generator, x: float, y: float, radius_arcsec: float, z_source_range: tuple[float, float]
) -> _Deflector:
    """An early-type galaxy with the mass for an Einstein radius: redshifts are redrawn until the galaxy is a likely one."""
    for _ in range(_MAX_DRAWS):
        # Forecast, observable part: z_lens 0.26-0.92 (5-95 %), z_source 0.8-3.1 with median 1.64.
        z = float(np.clip(rng.normal(0.53, 0.2), 0.15, 1.1))
        z_source = float(z + rng.lognormal(np.log(1.05), 0.5))
        sigma = velocity_dispersion_km_s(radius_arcsec, z, z_source)
        mag = _early_type_mag(sigma, z) + float(rng.normal(0, 0.25))
        in_range = VELOCITY_DISPERSIONS_KM_S[0] < sigma < VELOCITY_DISPERSIONS_KM_S[1]
        if in_range and LENS_VIS_MAGS[0] < mag < LENS_VIS_MAGS[1] and z_source_range[0] < z_source < z_source_range[1]:
            break
    else:
        raise ValueError(f"no lens galaxy with an Einstein radius of {radius_arcsec:.2f} arcsec within {_MAX_DRAWS} draws")
    q, angle = float(rng.uniform(0.5, 0.97)), float(rng.uniform(0, np.pi))
    # Mass is rounder than light or not, and nearly aligned with it.
    mass_q, mass_angle = float(np.clip(q + rng.normal(0, 0.08), 0.5, 1.0)), angle + float(rng.normal(0, 0.1))
    shear = tuple(float(s) for s in rng.normal(0, 0.04, 2))
    # Forecast: log10 r = -0.076 + 1.09 log10(sigma / 220) - 0.263 z, scatter 0.13.
    size = 10 ** (-0.076 + 1.09 * np.log10(sigma / 220) - 0.263 * z + rng.normal(0, 0.13))
    # An old population dims in VIS and reddens as the 4000 Angstrom break moves through the band.
    sed = draw_sed(rng, mag, 0.9 + 1.6 * z + rng.normal(0, 0.15))
    light = Light(x, y, float(size), float(rng.normal(4, 0.4)), q, angle, sed)
    return _Deflector(Mass(z, x, y, sigma, mass_q, mass_angle, (shear[0], shear[1])), light, z_source, radius_arcsec)


def _early_type_mag(sigma_km_s: float, z: float) -> float:
    """VIS magnitude of an early-type galaxy: forecast, L ~ sigma^4 and a cubic in z, which it follows to 0.15 mag."""
    return float(np.polyval([1.332, -5.420, 12.314, 14.781], z) - 10 * np.log10(sigma_km_s / 220))


def _draw_source(rng: Generator, x: float, y: float, vis_mag: float) -> tuple[Light, ...]:
    """A distant galaxy: mostly blue discs, one in five red; half of the blue ones with a clump of young stars."""
    # Forecast: log10 r = -0.82 - 0.26 (mag - 25), scatter 0.22.
    radius = float(np.clip(10 ** (-0.82 - 0.2 * (vis_mag - 25) + rng.normal(0, 0.2)), 0.05, 0.6))
    is_red = rng.random() < 0.2
    color = rng.uniform(1.5, 2.8) if is_red else float(np.clip(rng.normal(0.5, 0.4), -0.3, 1.5))
    index = rng.uniform(1.5, 3.0) if is_red else rng.uniform(0.7, 1.5)
    q, angle = rng.uniform(0.35, 1.0), rng.uniform(0, np.pi)
    share = rng.uniform(0.1, 0.35) if not is_red and rng.random() < 0.5 else 0.0
    disc = Light(x, y, radius, index, q, angle, draw_sed(rng, vis_mag - 2.5 * np.log10(1 - share), color))
    if share == 0:
        return (disc,)
    dx, dy = rng.normal(0, 0.7 * radius, 2)
    clump_sed = draw_sed(rng, vis_mag - 2.5 * np.log10(share), color - rng.uniform(0.1, 0.6))
    return (disc, Light(x + dx, y + dy, max(0.25 * radius, 0.03), 1.0, 0.9, 0.0, clump_sed))


def _draw_disc(rng: Generator, x: float, y: float, vis_mag: float) -> tuple[Light, ...]:
    """A disc with a redder bulge, in two of three cases with spiral arms."""
    radius = float(np.clip(10 ** (-0.05 - 0.12 * (vis_mag - 20) + rng.normal(0, 0.15)), 0.15, 2.5))
    q, angle = rng.uniform(0.25, 1.0), rng.uniform(0, np.pi)
    bulge_share = rng.uniform(0.05, 0.5)
    arms = None
    if rng.random() < 0.65:
        arms = SpiralArms(rng.uniform(0.4, 0.95), rng.choice([-1, 1]) * rng.uniform(0.2, 0.6), rng.uniform(0, np.pi))
    color = rng.normal(1.0, 0.35)
    disc_sed = draw_sed(rng, vis_mag - 2.5 * np.log10(1 - bulge_share), color)
    bulge_sed = draw_sed(rng, vis_mag - 2.5 * np.log10(bulge_share), color + rng.uniform(0.2, 1.0))
    return (
        Light(x, y, 0.25 * radius, rng.uniform(1.5, 4.0), (1 + q) / 2, angle, bulge_sed),
        Light(x, y, radius, 1.0, q, angle, disc_sed, arms),
    )


def _draw_radius(rng: Generator, median_arcsec: float, limits: tuple[float, float]) -> float:
    """Einstein radius: log-normal with a scatter of 0.4 within limits."""
    for _ in range(_MAX_DRAWS):
        radius = float(rng.lognormal(np.log(median_arcsec), 0.4))
        if limits[0] <= radius <= limits[1]:
            return radius
    raise ValueError(f"no Einstein radius within {limits} arcsec in {_MAX_DRAWS} draws")


def _source_mag(rng: Generator) -> float:
    """Unlensed VIS magnitude: rising counts up to the faintest that lensing makes visible."""
    low, high = SOURCE_VIS_MAGS
    return float(low + (high - low) * np.sqrt(rng.random()))


def _centring(rng: Generator) -> tuple[float, float]:
    """Catalogue positions miss the galaxy's centre by 0.06 arcsec, one in five by 0.2."""
    x, y = rng.normal(0, 0.2 if rng.random() < 0.2 else 0.06, 2)
    return float(x), float(y)


def _detector_angle(rng: Generator) -> float:
    return float(rng.uniform(0, 360))


_DRAW: Mapping[str, Callable[[Generator], System]] = MappingProxyType(
    {
        "nonlens": _draw_nonlens,
        "single": _draw_single,
        "compound_arc": lambda rng: _draw_compound(rng, "compound_arc"),
        "double_ring": lambda rng: _draw_compound(rng, "double_ring"),
    }
)
