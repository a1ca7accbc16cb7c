"""Draw the sky around an object: galaxies of the field and stars, alike for every class."""

import numpy as np
from numpy.random import Generator

from simulation.population.colours import early_type_sed, star_forming_sed, star_sed
from simulation.systems import Light, PointSource, Sersic, Spikes, SpiralArms

FIELD_SIDE_ARCSEC = 22.0
NEIGHBOUR_VIS_MAGS = (19.0, 27.0)
_COUNTS_PER_ARCMIN2, _COUNTS_MAG = 30.0, 24.5
"""Galaxies brighter than a VIS magnitude (Laureijs et al. 2011); in Euclid Q1 cutouts 29, and 86 brighter than 26."""
_SLOPE, _BEND_MAG, _FAINT_SLOPE = 0.3, 25.0, 0.2
"""Slopes of log10 counts per magnitude, before and after the bend."""
_SCATTER, _RICH_SHARE, _RICH_FACTOR = 0.35, 0.15, 2.0
"""Scatter of counts between fields in ln, and the share of fields with many more."""
_CLEAR_ARCSEC, _CLEAR_OF_FAINT_ARCSEC, _FAINT_VIS_MAG = 1.2, 0.6, 24.5
_STAR_SHARE, _STAR_VIS_MAGS, _STAR_SLOPE = 0.03, (18.0, 25.0), 0.12
_SPIKES_BRIGHTER_THAN_MAG, _SPIKES_SHARE = 19.5, 0.015
_HALO_SHARE, _HALO_VIS_MAGS, _HALO_CLEAR_ARCSEC = 0.06, (17.5, 19.5), 5.0
_DISC_BRIGHTER_THAN_MAG, _ARMS_BRIGHTER_THAN_MAG = 22.5, 21.5
"""Magnitudes below which galaxies have a bulge apart from the disc, and spiral arms."""


def counts_per_arcmin2(vis_mag: float) -> float:
    """Return the number of field galaxies brighter than a VIS magnitude, per square arcminute."""
    at_bend = _COUNTS_PER_ARCMIN2 * 10 ** (_SLOPE * (min(vis_mag, _BEND_MAG) - _COUNTS_MAG))
    if vis_mag <= _BEND_MAG:
        return float(at_bend)
    return float(at_bend * (1 + _SLOPE / _FAINT_SLOPE * (10 ** (_FAINT_SLOPE * (vis_mag - _BEND_MAG)) - 1)))


N_NEIGHBOURS_IN_FIELD = (
    (FIELD_SIDE_ARCSEC / 60) ** 2
    * (counts_per_arcmin2(NEIGHBOUR_VIS_MAGS[1]) - counts_per_arcmin2(NEIGHBOUR_VIS_MAGS[0]))
    * (1 + _RICH_SHARE * (_RICH_FACTOR - 1))
)
"""Mean number of galaxies within `FIELD_SIDE_ARCSEC`, rich fields included."""


def field_mag(rng: Generator, mag_range: tuple[float, float]) -> float:
    """Draw the VIS magnitude of a field galaxy within a range, from the counts."""
    low, high = (counts_per_arcmin2(mag) for mag in mag_range)
    counts, at_bend = float(rng.uniform(low, high)), counts_per_arcmin2(_BEND_MAG)
    if counts <= at_bend:
        return _COUNTS_MAG + float(np.log10(counts / _COUNTS_PER_ARCMIN2)) / _SLOPE
    return _BEND_MAG + float(np.log10(1 + (counts / at_bend - 1) * _FAINT_SLOPE / _SLOPE)) / _FAINT_SLOPE


def field_redshift(rng: Generator, vis_mag: float, z_max: float = 4.0) -> float:
    """Draw the redshift of a field galaxy: n(z) ~ z^2 exp(-(z/z0)^1.5) (Smail et al. 1994), with a median of 0.85 at VIS 24."""
    median = max(0.85 + 0.16 * (vis_mag - 24), 0.12)
    z = median / 1.412 * float(rng.gamma(2.0)) ** (1 / 1.5)
    return max(z if z < z_max else z_max * float(rng.uniform()), 0.02)


def draw_neighbours(rng: Generator, detector_angle_deg: float | None = None, z_max: float = 4.0) -> tuple[Light, ...]:
    """Draw galaxies near the object by chance, and now and then a star or a large elliptical; the middle stays clear of them.

    Args:
        rng: Source of randomness.
        detector_angle_deg: Orientation of the detector, which a bright star's spikes follow; drawn if None.
        z_max: Largest redshift.
    """
    # Ordinary fields have the mean counts on average.
    factor = float(np.exp(rng.normal(-(_SCATTER**2) / 2, _SCATTER))) * (_RICH_FACTOR if rng.random() < _RICH_SHARE else 1.0)
    mean = N_NEIGHBOURS_IN_FIELD / (1 + _RICH_SHARE * (_RICH_FACTOR - 1)) * factor
    neighbours: list[Light] = []
    for _ in range(int(rng.poisson(mean))):
        x, y = _position(rng)
        vis_mag = field_mag(rng, NEIGHBOUR_VIS_MAGS)
        if _is_clear(x, y, vis_mag):
            neighbours += draw_field_galaxy(rng, x, y, vis_mag, z_max)
    if rng.random() < _STAR_SHARE:
        neighbours += _draw_star(rng, detector_angle_deg)
    if rng.random() < _HALO_SHARE:
        neighbours.append(_draw_halo(rng, z_max))
    return tuple(neighbours)


def draw_field_galaxy(
    rng: Generator, x_arcsec: float, y_arcsec: float, vis_mag: float, z_max: float = 4.0
) -> tuple[Light, ...]:
    """Draw a galaxy of the field: mostly discs, some red and compact; the brighter, the more often red."""
    z = field_redshift(rng, vis_mag, z_max)
    # Half-light radii: 0.3 arcsec at VIS 24, 0.18 at 26.
    radius = min(max(10 ** (-0.52 - 0.11 * (vis_mag - 24) + float(rng.normal(0, 0.17))), 0.06), 3.0)
    q, angle = float(rng.uniform(0.3, 1.0)), float(rng.uniform(0, np.pi))
    if rng.random() < min(max(0.33 - 0.06 * (vis_mag - 20), 0.03), 0.4):
        # Old galaxies are not observed beyond the redshift where they would be the brightest of all.
        z = min(z, 0.25 + 0.2 * max(vis_mag - 19, 0.0))
        index = float(rng.uniform(2.5, 5.0))
        sed = early_type_sed(vis_mag, z, rng)
        return (Sersic(x_arcsec, y_arcsec, 0.75 * radius, index, max(q, 0.5), angle, sed),)
    sed = star_forming_sed(vis_mag, z, rng)
    if vis_mag > _DISC_BRIGHTER_THAN_MAG:
        return (Sersic(x_arcsec, y_arcsec, radius, float(rng.uniform(0.6, 1.8)), q, angle, sed),)
    bulge_share = float(rng.uniform(0.05, 0.4))
    arms = None
    if vis_mag < _ARMS_BRIGHTER_THAN_MAG and q > 0.4 and rng.random() < 0.5:
        pitch = float(rng.choice((-1.0, 1.0)) * rng.uniform(0.2, 0.5))
        arms = SpiralArms(float(rng.uniform(0.3, 0.9)), pitch, float(rng.uniform(0, np.pi)))
    bulge_sed = early_type_sed(vis_mag, z, rng).share(bulge_share)
    return (
        Sersic(x_arcsec, y_arcsec, 0.25 * radius, float(rng.uniform(1.5, 4.0)), (1 + q) / 2, angle, bulge_sed),
        Sersic(x_arcsec, y_arcsec, 1.1 * radius, 1.0, q, angle, sed.share(1 - bulge_share), arms),
    )


def _draw_star(rng: Generator, detector_angle_deg: float | None) -> tuple[Light, ...]:
    low, high = (10 ** (_STAR_SLOPE * mag) for mag in _STAR_VIS_MAGS)
    vis_mag = float(np.log10(rng.uniform(low, high))) / _STAR_SLOPE
    x, y = _position(rng, _CLEAR_ARCSEC)
    sed = star_sed(vis_mag, rng)
    if vis_mag > _SPIKES_BRIGHTER_THAN_MAG:
        return (PointSource(x, y, sed),)
    angle_deg = float(rng.uniform(0, 360)) if detector_angle_deg is None else detector_angle_deg
    length = float(0.8 * 10 ** (0.1 * (_SPIKES_BRIGHTER_THAN_MAG - vis_mag)))
    spikes = Spikes(x, y, length, 0.08, float(np.radians(angle_deg)), sed.share(_SPIKES_SHARE))
    return (PointSource(x, y, sed.share(1 - _SPIKES_SHARE)), spikes)


def _draw_halo(rng: Generator, z_max: float) -> Light:
    """Draw a large elliptical, whose light covers much of the stamp."""
    vis_mag = float(rng.uniform(*_HALO_VIS_MAGS))
    x, y = _position(rng, _HALO_CLEAR_ARCSEC)
    radius = float(1.4 * 10 ** (-0.15 * (vis_mag - 18.5) + rng.normal(0, 0.12)))
    sed = early_type_sed(vis_mag, min(float(rng.uniform(0.1, 0.45)), z_max), rng)
    angle, q = float(rng.uniform(0, np.pi)), float(rng.uniform(0.6, 1.0))
    return Sersic(x, y, radius, float(rng.uniform(3.0, 5.0)), q, angle, sed)


def _position(rng: Generator, clear_arcsec: float = 0.0) -> tuple[float, float]:
    """Draw a position in the field outside a circle about the middle."""
    while True:
        x, y = rng.uniform(-FIELD_SIDE_ARCSEC / 2, FIELD_SIDE_ARCSEC / 2, 2).tolist()
        if x * x + y * y >= clear_arcsec**2:
            return x, y


def _is_clear(x_arcsec: float, y_arcsec: float, vis_mag: float) -> bool:
    """Return whether a galaxy keeps clear of the object in the middle."""
    clear = _CLEAR_OF_FAINT_ARCSEC if vis_mag > _FAINT_VIS_MAG else _CLEAR_ARCSEC
    return x_arcsec**2 + y_arcsec**2 >= clear**2
