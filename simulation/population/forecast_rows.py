"""The forecast of Collett (2015, ApJ 811, 20) for lenses in Euclid: a Gaussian mixture fitted to its public table."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from simulation.lensing import einstein_radius_arcsec

MIXTURE_JSON = Path(__file__).with_name("forecast.json")
"""File of the mixture, written by `simulation.population.forecast_fit`."""
EINSTEIN_RADII_ARCSEC = (0.4, 4.0)
_AXIS_RATIOS = (0.2, 1.0)
_EDGE = 1e-3
_SOFT_ARCSEC = 0.03
"""Radius added to sources' radii before the logarithm, which would stretch the smallest ones."""
_MAX_Z_LENS, _MAX_Z_SOURCE = 2.1, 6.6
_SIGMAS_KM_S = (100.0, 420.0)
_SOURCE_VIS_MAGS, _MAX_SOURCE_RADIUS_ARCSEC = (20.0, 29.0), 1.5
"""Limits of the drawn rows: nearly those of the table."""
_MAX_DRAWS = 1000


@dataclass(frozen=True)
class Row:
    """A lens and its source, as in the table: magnitudes are total ones in VIS, the source's without magnification."""

    z_lens: float
    z_source: float
    velocity_dispersion_km_s: float
    lens_vis_mag: float
    lens_half_light_radius_arcsec: float
    source_vis_mag: float
    source_half_light_radius_arcsec: float
    lens_axis_ratio: float
    source_axis_ratio: float

    @property
    def einstein_radius_arcsec(self) -> float:
        """Einstein radius by Wilde et al. 2022, equation 1."""
        return einstein_radius_arcsec(self.velocity_dispersion_km_s, self.z_lens, self.z_source)


@dataclass(frozen=True)
class Mixture:
    """Gaussians in the coordinates of `to_coordinates`."""

    cumulated_weights: NDArray[np.float64]
    means: NDArray[np.float64]
    """Means, [component, coordinate]."""
    roots: NDArray[np.float64]
    """Lower Cholesky factors of the covariances, [component, coordinate, coordinate]."""

    def draw(self, rng: Generator) -> NDArray[np.float64]:
        """Draw one point, [coordinate]."""
        k = int(np.searchsorted(self.cumulated_weights, rng.random()))
        return self.means[k] + self.roots[k] @ rng.standard_normal(self.means.shape[1])


def draw_row(rng: Generator) -> Row:
    """Draw a lens with an Einstein radius within `EINSTEIN_RADII_ARCSEC`.

    Raises:
        ValueError: `_MAX_DRAWS` draws from the mixture gave no such lens.
    """
    mixture = read_mixture()
    for _ in range(_MAX_DRAWS):
        row = from_coordinates(mixture.draw(rng))
        if _is_physical(row) and EINSTEIN_RADII_ARCSEC[0] < row.einstein_radius_arcsec < EINSTEIN_RADII_ARCSEC[1]:
            return row
    raise ValueError(f"no lens within {EINSTEIN_RADII_ARCSEC} arcsec in {_MAX_DRAWS} draws from {MIXTURE_JSON}")


def to_coordinates(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Map columns in the order of `Row` to coordinates [row, coordinate] in which the population is nearly a few Gaussians."""
    z_lens, z_source, sigma, lens_mag, lens_radius, source_mag, source_radius, lens_q, source_q = columns.T
    return np.column_stack(
        [
            np.log(z_lens),
            np.log(z_source - z_lens),
            np.log(sigma),
            lens_mag,
            np.log(lens_radius),
            source_mag,
            np.log(source_radius + _SOFT_ARCSEC),
            _logit(lens_q),
            _logit(source_q),
        ]
    )


def from_coordinates(point: NDArray[np.float64]) -> Row:
    """Invert `to_coordinates` for one point; redshifts have three decimals, as in the table."""
    log_z, log_dz, log_sigma, lens_mag, log_lens_radius, source_mag, log_source_radius, lens_q, source_q = point.tolist()
    exps = np.exp([log_z, log_dz, log_sigma, log_lens_radius, log_source_radius, -lens_q, -source_q]).tolist()
    low, high = _AXIS_RATIOS
    return Row(
        round(exps[0], 3),
        round(exps[0] + exps[1], 3),
        exps[2],
        lens_mag,
        exps[3],
        source_mag,
        exps[4] - _SOFT_ARCSEC,
        low + (high - low) / (1 + exps[5]),
        low + (high - low) / (1 + exps[6]),
    )


@lru_cache(maxsize=1)
def read_mixture() -> Mixture:
    """Read the mixture that is part of the package."""
    return mixture_of(json.loads(MIXTURE_JSON.read_text())["components"])


def mixture_of(components: Sequence[Mapping[str, Any]]) -> Mixture:
    """Build the mixture from components as `simulation.population.forecast_fit` writes them."""
    weights = np.array([c["weight"] for c in components])
    means = np.array([c["mean"] for c in components])
    roots = np.zeros((*means.shape, means.shape[1]))
    for root, component in zip(roots, components, strict=True):
        root[np.tril_indices(means.shape[1])] = component["root"]
    return Mixture(np.cumsum(weights / weights.sum()), means, roots)


def _is_physical(row: Row) -> bool:
    return (
        _SIGMAS_KM_S[0] < row.velocity_dispersion_km_s < _SIGMAS_KM_S[1]
        and 0 < row.z_lens < _MAX_Z_LENS
        and row.z_lens < row.z_source < _MAX_Z_SOURCE
        and _SOURCE_VIS_MAGS[0] < row.source_vis_mag < _SOURCE_VIS_MAGS[1]
        and 0 < row.source_half_light_radius_arcsec < _MAX_SOURCE_RADIUS_ARCSEC
    )


def _logit(axis_ratio: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = _AXIS_RATIOS
    share = np.clip((axis_ratio - low) / (high - low), _EDGE, 1 - _EDGE)
    return np.log(share / (1 - share))
