"""Deflection by one or two galaxies along the line of sight: singular isothermal ellipsoids with external shear.

Positions are angles on the sky in arcsec, x to the right, y up. An Einstein radius belongs to a deflector *and* a source
redshift: a galaxy of one velocity dispersion has a different one for each source behind it (Wilde et al. 2022, equation 1).
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from astropy.cosmology import FlatLambdaCDM
from lenstronomy.LensModel.lens_model import LensModel
from numpy.typing import NDArray

Coordinates = NDArray[np.floating]

COSMOLOGY = FlatLambdaCDM(H0=70.0, Om0=0.3)
"""Wilde et al. 2022, section 1."""

_SPEED_OF_LIGHT_KM_S = 299792.458
_ARCSEC_PER_RAD = np.degrees(1.0) * 3600
_RADII_ARCSEC = np.linspace(0.05, 8.0, 319)
_N_AZIMUTHS = 48


@dataclass(frozen=True)
class Mass:
    """A deflector: a singular isothermal ellipsoid (SIE) with external shear."""

    z: float
    x_arcsec: float
    y_arcsec: float
    velocity_dispersion_km_s: float
    axis_ratio: float
    angle_rad: float
    """Of the major axis, from x towards y."""
    shear: tuple[float, float] = (0.0, 0.0)
    """Components for an infinitely distant source; scaled with D_ls / D_s like the deflection."""

    def __post_init__(self) -> None:
        if not self.z > 0:
            raise ValueError(f"a deflector's redshift must be > 0, got {self.z}")
        if not self.velocity_dispersion_km_s > 0:
            raise ValueError(f"velocity_dispersion_km_s must be > 0, got {self.velocity_dispersion_km_s}")
        if not 0 < self.axis_ratio <= 1:
            raise ValueError(f"axis_ratio must be in (0, 1], got {self.axis_ratio}")


@lru_cache(maxsize=4096)
def _comoving_mpc(z: float) -> float:
    return float(COSMOLOGY.comoving_distance(z).value)


def distance_ratio(z_lens: float, z_source: float) -> float:
    """D_ls / D_s of angular diameter distances in a flat universe; 0 for a source in front of the lens."""
    return max(0.0, 1.0 - _comoving_mpc(z_lens) / _comoving_mpc(z_source))


def einstein_radius_arcsec(velocity_dispersion_km_s: float, z_lens: float, z_source: float) -> float:
    """Of a singular isothermal sphere: Wilde et al. 2022, equation 1."""
    angle_rad = 4 * np.pi * (velocity_dispersion_km_s / _SPEED_OF_LIGHT_KM_S) ** 2
    return float(angle_rad * _ARCSEC_PER_RAD * distance_ratio(z_lens, z_source))


def velocity_dispersion_km_s(radius_arcsec: float, z_lens: float, z_source: float) -> float:
    """The inverse of `einstein_radius_arcsec`.

    Raises:
        ValueError: the source is not behind the lens.
    """
    ratio = distance_ratio(z_lens, z_source)
    if ratio <= 0:
        raise ValueError(f"the source must lie behind the lens, got z_lens={z_lens}, z_source={z_source}")
    return float(_SPEED_OF_LIGHT_KM_S * np.sqrt(radius_arcsec / _ARCSEC_PER_RAD / (4 * np.pi * ratio)))


def ray_shoot(
    masses: Sequence[Mass], z_source: float, x_arcsec: Coordinates, y_arcsec: Coordinates
) -> tuple[Coordinates, Coordinates]:
    """Where the light seen at `(x, y)` comes from in the plane at `z_source`; masses at or behind it do not act."""
    acting = [m for m in masses if m.z < z_source]
    if not acting:
        return x_arcsec, y_arcsec
    several_planes = len({m.z for m in acting}) > 1
    model = multi_plane_model(acting, z_source) if several_planes else single_plane_model(acting)
    shape = np.shape(x_arcsec)
    beta_x, beta_y = model.ray_shooting(np.ravel(x_arcsec), np.ravel(y_arcsec), lens_parameters(acting, z_source))
    return beta_x.reshape(shape), beta_y.reshape(shape)


def single_plane_model(masses: Sequence[Mass]) -> LensModel:
    """All masses in one plane."""
    return LensModel(["SIE", "SHEAR"] * len(masses))


def multi_plane_model(masses: Sequence[Mass], z_source: float) -> LensModel:
    """Masses at their own redshifts. All Einstein radii it takes are those for the source at `z_source`."""
    with warnings.catch_warnings():
        # Raised whenever a cosmology is given, to remind of an argument that only sampling uses.
        warnings.filterwarnings("ignore", message="Cosmology is provided", category=UserWarning)
        return LensModel(
            ["SIE", "SHEAR"] * len(masses),
            multi_plane=True,
            lens_redshift_list=[z for m in masses for z in (m.z, m.z)],
            z_source=z_source,
            z_source_convention=z_source,
            cosmo=COSMOLOGY,
        )


def lens_parameters(masses: Sequence[Mass], z_source: float) -> list[dict[str, Any]]:
    """Lenstronomy's parameters of SIE and shear of each mass, reduced to a source at `z_source`."""
    parameters: list[dict[str, Any]] = []
    for mass in masses:
        ratio = distance_ratio(mass.z, z_source)
        ellipticity = (1 - mass.axis_ratio) / (1 + mass.axis_ratio)
        parameters += [
            {
                "theta_E": einstein_radius_arcsec(mass.velocity_dispersion_km_s, mass.z, z_source),
                "e1": ellipticity * np.cos(2 * mass.angle_rad),
                "e2": ellipticity * np.sin(2 * mass.angle_rad),
                "center_x": mass.x_arcsec,
                "center_y": mass.y_arcsec,
            },
            {
                "gamma1": mass.shear[0] * ratio,
                "gamma2": mass.shear[1] * ratio,
                "ra_0": mass.x_arcsec,
                "dec_0": mass.y_arcsec,
            },
        ]
    return parameters


def effective_einstein_radius_arcsec(masses: Sequence[Mass], z_source: float) -> float:
    """Radius of the circle about the first mass inside which all masses together just focus light from `z_source`.

    There the mean inward deflection equals the radius. Masses count as spheres without shear, so for one mass this is the
    radius of equation 1, and for two on one line of sight the radius of the ring: the sum of their radii for that source.

    Raises:
        ValueError: there is no such circle within 8 arcsec.
    """
    spheres = [replace(mass, axis_ratio=1.0, shear=(0.0, 0.0)) for mass in masses]
    phi = np.arange(_N_AZIMUTHS) * 2 * np.pi / _N_AZIMUTHS
    x, y = _RADII_ARCSEC[:, None] * np.cos(phi), _RADII_ARCSEC[:, None] * np.sin(phi)
    centre = masses[0]
    beta_x, beta_y = ray_shoot(spheres, z_source, x + centre.x_arcsec, y + centre.y_arcsec)
    alpha_x, alpha_y = x + centre.x_arcsec - beta_x, y + centre.y_arcsec - beta_y
    inward = (alpha_x * np.cos(phi) + alpha_y * np.sin(phi)).mean(axis=1)
    excess = inward - _RADII_ARCSEC
    focused = np.flatnonzero(excess > 0)
    if focused.size == 0 or focused[-1] + 1 == _RADII_ARCSEC.size:
        raise ValueError(
            f"no Einstein radius between {_RADII_ARCSEC[0]} and {_RADII_ARCSEC[-1]} arcsec for z_source={z_source}"
        )
    i = focused[-1]
    step = _RADII_ARCSEC[i + 1] - _RADII_ARCSEC[i]
    return float(_RADII_ARCSEC[i] + step * excess[i] / (excess[i] - excess[i + 1]))
