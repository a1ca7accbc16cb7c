"""Deflection of light by the masses along a line of sight: elliptical power laws with external shear, in any number of planes.

Positions are angles on the sky in arcsec, x to the right, y up. A mass bends light by one *physical* angle; the observed effect
depends on the source: the reduced angle is the physical one times D_ls / D_s. So the velocity dispersion fixes the mass, and a
deflector has a different Einstein radius for each source behind it.

The isothermal ellipsoid's radius follows from the velocity dispersion by Wilde et al. 2022, equation 1. A power law of another
slope is normalised to the same radius for a source with D_ls / D_s = 1/2, the middle of the range of lenses. (Equation 1 cannot
hold for every source at once: the deflection at a given point grows as D_ls / D_s, so the radius of a power law grows as that
to the power of 1 / (slope - 1).)

An ellipse's radius is that of the circle with its area (lenstronomy's convention).
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from astropy.cosmology import FlatLambdaCDM
from lenstronomy.LensModel.Profiles.epl_numba import EPL_numba
from lenstronomy.LensModel.Profiles.shear import Shear
from lenstronomy.LensModel.Profiles.sie import SIE
from numpy.typing import NDArray
from scipy.optimize import brentq

from simulation.systems import Mass

Coordinates = NDArray[np.floating]
Vectors = tuple[Coordinates, Coordinates]

COSMOLOGY = FlatLambdaCDM(H0=70.0, Om0=0.3)
"""Cosmology of Wilde et al. 2022, section 1."""

_SPEED_OF_LIGHT_KM_S = 299792.458
_ARCSEC_PER_RAD = float(np.degrees(1.0)) * 3600
_ISOTHERMAL = 2.0
_PIVOT_DISTANCE_RATIO = 0.5
"""D_ls / D_s for which power laws of every slope have the Einstein radius of equation 1."""
_RAYS_PER_BLOCK = 8192
"""Rays in a block: temporary arrays of this size stay in the processor's cache, which halves the time."""
_RADII_ARCSEC = np.geomspace(0.03, 15.0, 48)
_PHI = np.arange(48) * 2 * np.pi / 48
_COS, _SIN = np.cos(_PHI), np.sin(_PHI)

_sie, _epl, _shear = SIE(), EPL_numba(), Shear()


@lru_cache(maxsize=4096)
def _comoving_mpc(z: float) -> float:
    return float(COSMOLOGY.comoving_distance(z).value)


def distance_ratio(z_lens: float, z_source: float) -> float:
    """Return D_ls / D_s of angular diameter distances in a flat universe; 0 for a source in front of the lens."""
    if z_source <= z_lens:
        return 0.0
    return 1.0 - _comoving_mpc(z_lens) / _comoving_mpc(z_source)


def einstein_radius_arcsec(
    velocity_dispersion_km_s: float, z_lens: float, z_source: float, slope: float = _ISOTHERMAL
) -> float:
    """Return the Einstein radius of one mass, by Wilde et al. 2022, equation 1, if isothermal; 0 for a source in front."""
    return _radius_arcsec(velocity_dispersion_km_s, distance_ratio(z_lens, z_source), slope)


def _radius_arcsec(sigma_km_s: float, ratio: float, slope: float) -> float:
    pivot_arcsec = 4 * np.pi * (sigma_km_s / _SPEED_OF_LIGHT_KM_S) ** 2 * _ARCSEC_PER_RAD * _PIVOT_DISTANCE_RATIO
    return float(pivot_arcsec * (ratio / _PIVOT_DISTANCE_RATIO) ** (1 / (slope - 1)))


def ray_shoot(masses: Sequence[Mass], z_source: float, x_arcsec: Coordinates, y_arcsec: Coordinates) -> Vectors:
    """Map image positions `(x, y)` to the plane at `z_source`, and return their x and y there in arcsec.

    Masses at one redshift make up one plane, where their deflections add; masses at or behind the source do not act. Their
    order does not matter. Arrays may have any shape; the results are float64 of the same shape.
    """
    x, y = np.asarray(x_arcsec, np.float64), np.asarray(y_arcsec, np.float64)
    acting = [mass for mass in masses if mass.z < z_source]
    if not acting:
        return x, y
    x_flat, y_flat = x.ravel(), y.ravel()
    beta = np.empty((2, x.size))
    for low in range(0, x.size, _RAYS_PER_BLOCK):
        block = slice(low, low + _RAYS_PER_BLOCK)
        beta[:, block] = _through_planes(acting, z_source, x_flat[block], y_flat[block], _deflection)
    return beta[0].reshape(x.shape), beta[1].reshape(x.shape)


def _through_planes(
    acting: Sequence[Mass],
    z_source: float,
    x: Coordinates,
    y: Coordinates,
    deflection: Callable[[Mass, Coordinates, Coordinates], Vectors],
) -> Vectors:
    """Solve the lens equation of several planes (Schneider, Ehlers & Falco 1992, section 9.1), nearest plane first."""
    bent: list[tuple[float, Coordinates, Coordinates]] = []

    def at(z: float) -> Vectors:
        beta_x, beta_y = x, y
        for z_plane, alpha_x, alpha_y in bent:
            ratio = distance_ratio(z_plane, z)
            beta_x, beta_y = beta_x - ratio * alpha_x, beta_y - ratio * alpha_y
        return beta_x, beta_y

    for z_plane in sorted({mass.z for mass in acting}):
        seen_x, seen_y = at(z_plane)
        parts = [deflection(mass, seen_x, seen_y) for mass in acting if mass.z == z_plane]
        alpha_x, alpha_y = parts[0]
        for more_x, more_y in parts[1:]:
            alpha_x, alpha_y = alpha_x + more_x, alpha_y + more_y
        bent.append((z_plane, alpha_x, alpha_y))
    return at(z_source)


def _deflection(mass: Mass, x: Coordinates, y: Coordinates) -> Vectors:
    """Return the deflection of one mass with its shear, in arcsec, for an infinitely distant source."""
    radius = _radius_arcsec(mass.velocity_dispersion_km_s, 1.0, mass.slope)
    ellipticity = (1 - mass.axis_ratio) / (1 + mass.axis_ratio)
    e1, e2 = ellipticity * np.cos(2 * mass.angle_rad), ellipticity * np.sin(2 * mass.angle_rad)
    if mass.slope == _ISOTHERMAL:
        alpha_x, alpha_y = _sie.derivatives(x, y, radius, e1, e2, mass.x_arcsec, mass.y_arcsec)
    else:
        alpha_x, alpha_y = _epl.derivatives(x, y, radius, mass.slope, e1, e2, mass.x_arcsec, mass.y_arcsec)
    if mass.shear != (0.0, 0.0):
        shear_x, shear_y = _shear.derivatives(x, y, *mass.shear, mass.x_arcsec, mass.y_arcsec)
        alpha_x, alpha_y = alpha_x + shear_x, alpha_y + shear_y
    return alpha_x, alpha_y


def effective_einstein_radius_arcsec(masses: Sequence[Mass], z_source: float) -> float:
    """Return the radius of the circle about the first mass inside which all masses together just focus light from `z_source`.

    There the mean inward deflection equals the radius; if this holds for several circles, the largest counts. Masses count as
    spheres without shear, so one mass has the radius of `einstein_radius_arcsec`, and two isothermal spheres on one line of
    sight that of the ring: the sum of their radii for that source.

    Raises:
        ValueError: no mass is in front of the source; there is no such circle between 0.03 and 15 arcsec.
    """
    acting = [mass for mass in masses if mass.z < z_source]
    if len(acting) == 1 and acting[0] is masses[0]:
        return einstein_radius_arcsec(acting[0].velocity_dispersion_km_s, acting[0].z, z_source, acting[0].slope)

    def excess(radii: Coordinates) -> Coordinates:
        return _mean_inward(acting, z_source, masses[0], radii) - radii

    focused = np.flatnonzero(excess(_RADII_ARCSEC) > 0) if acting else np.zeros(0, int)
    if focused.size == 0 or focused[-1] + 1 == _RADII_ARCSEC.size:
        raise ValueError(
            f"no Einstein radius between {_RADII_ARCSEC[0]} and {_RADII_ARCSEC[-1]:g} arcsec for z_source={z_source}"
        )
    inner, outer = _RADII_ARCSEC[focused[-1]], _RADII_ARCSEC[focused[-1] + 1]
    return float(brentq(lambda radius: excess(np.array([radius]))[0], inner, outer, xtol=1e-5))


def _mean_inward(acting: Sequence[Mass], z_source: float, centre: Mass, radii: Coordinates) -> Coordinates:
    """Return the deflection towards the centre, averaged over circles about it."""
    x = centre.x_arcsec + radii[:, None] * _COS
    y = centre.y_arcsec + radii[:, None] * _SIN
    beta_x, beta_y = _through_planes(acting, z_source, x, y, _sphere_deflection)
    return ((x - beta_x) * _COS + (y - beta_y) * _SIN).mean(axis=1)


def _sphere_deflection(mass: Mass, x: Coordinates, y: Coordinates) -> Vectors:
    """Return the deflection of a sphere without shear, faster than `_deflection`."""
    radius = _radius_arcsec(mass.velocity_dispersion_km_s, 1.0, mass.slope)
    dx, dy = x - mass.x_arcsec, y - mass.y_arcsec
    per_arcsec = (radius / np.maximum(np.hypot(dx, dy), 1e-9)) ** (mass.slope - 1)
    return per_arcsec * dx, per_arcsec * dy
