"""Draw components of light on fine pixels, directly or through a lens.

Every extended component is a profile in a frame of its own, stretched so that its isophotes are circles (rays of spikes are
only turned and scaled). A pixel is a parallelogram in that frame, whether or not a lens has mapped it there, and gets the mean
of the profile over it: where the profile changes much across the pixel, the pixel is halved until it does not.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv

from scanner.vocabulary.bands import EUCLID
from scanner.vocabulary.geometry import Image
from simulation.optics import light_kernels as kernels
from simulation.systems import Annulus, Light, Picture, PointSource, Sed, Sersic, Spikes

Coordinates = NDArray[np.floating]

FINE_SCALE_ARCSEC = 0.05
"""Pixel scale on which light is drawn: half a VIS pixel, a sixth of a NISP pixel."""

_FAINTEST = 0.01
"""Surface brightness below which light need not be drawn, in units of the noise of one native pixel."""
_LEAST_LIGHT = 0.9
"""Share of a Sersic profile's light that is always drawn, however faint."""
_CORE_LIGHT = 0.003
"""Share of a Sersic profile's light in a core that is not resolved."""
_WIDTHS = 4.5
"""Distance out to which a ring is drawn, in standard deviations of its width."""
_NOISE = {b.name: b.noise_electrons_per_pixel / b.electrons_per_adu_per_s / b.pixel_scale_arcsec**2 for b in EUCLID.bands}
"""Standard deviation of the noise of a native pixel, in ADU/s per arcsec2."""


@dataclass(frozen=True)
class FineGrid:
    """Square grid of fine pixels about the origin, with an even number of pixels a side."""

    n_pixels: int

    def __post_init__(self) -> None:
        if self.n_pixels <= 0 or self.n_pixels % 2:
            raise ValueError(f"n_pixels must be even and > 0, got {self.n_pixels}")

    @property
    def axis_arcsec(self) -> NDArray[np.float64]:
        """Pixel centres, the same along x and along y."""
        return (np.arange(self.n_pixels, dtype=np.float64) - (self.n_pixels - 1) / 2) * FINE_SCALE_ARCSEC

    def window(self, x_arcsec: float, y_arcsec: float, half_side_arcsec: float) -> tuple[slice, slice]:
        """Return `[y, x]` slices of the pixels within `half_side_arcsec` of a position; empty when all are outside the grid."""

        def along(centre: float) -> slice:
            low, high = (
                round((centre + side) / FINE_SCALE_ARCSEC + (self.n_pixels - 1) / 2)
                for side in (-half_side_arcsec, half_side_arcsec)
            )
            return slice(min(max(low, 0), self.n_pixels), min(max(high + 1, 0), self.n_pixels))

        return along(y_arcsec), along(x_arcsec)


def draw(lights: Sequence[Light], grid: FineGrid, bands: tuple[str, ...] = tuple(EUCLID)) -> dict[str, Image]:
    """Draw components of light: band name to `[y, x]`, ADU/s per fine pixel, before any blurring."""
    images = np.zeros((len(bands), grid.n_pixels, grid.n_pixels), np.float32)
    axis = grid.axis_arcsec
    for light in lights:
        fluxes = _fluxes(light, bands)
        if isinstance(light, PointSource):
            _add_point(light, grid, fluxes, images)
            continue
        profile = _profile(light)
        rows, columns = grid.window(light.x_arcsec, light.y_arcsec, profile.reach_arcsec + FINE_SCALE_ARCSEC)
        if rows.start < rows.stop and columns.start < columns.stop:
            x, y = axis[columns] - light.x_arcsec, axis[rows] - light.y_arcsec
            fluxes *= np.float32(profile.peak * FINE_SCALE_ARCSEC**2)
            kernels.add_plain(*profile[:3], x, y, FINE_SCALE_ARCSEC, fluxes, images, rows.start, columns.start)
    return dict(zip(bands, images, strict=True))


def draw_lensed(
    lights: Sequence[Light], beta_x_arcsec: Coordinates, beta_y_arcsec: Coordinates, bands: tuple[str, ...] = tuple(EUCLID)
) -> dict[str, Image]:
    """Draw like `draw` at the source-plane coordinates `[y, x]` of fine pixels: lensing conserves surface brightness.

    Raises:
        ValueError: a point source, which has no surface brightness; coordinates that are not two arrays of one shape `[y, x]`.
    """
    beta_x, beta_y = (np.ascontiguousarray(beta, np.float64) for beta in (beta_x_arcsec, beta_y_arcsec))
    if beta_x.ndim != 2 or beta_x.shape != beta_y.shape:
        raise ValueError(f"coordinates must be two arrays of one shape [y, x], got {beta_x.shape} and {beta_y.shape}")
    images = np.zeros((len(bands), *beta_x.shape), np.float32)
    edges, longest = kernels.mapped_edges(beta_x, beta_y, FINE_SCALE_ARCSEC)
    for light in lights:
        profile = _profile(light)
        fluxes = _fluxes(light, bands) * np.float32(profile.peak * FINE_SCALE_ARCSEC**2)
        kernels.add_lensed(*profile[:3], light.x_arcsec, light.y_arcsec, beta_x, beta_y, edges, longest, fluxes, images)
    return dict(zip(bands, images, strict=True))


def extent_arcsec(light: Light) -> float:
    """Return half the side of the square about a component outside which `draw` omits it.

    Within the square it is cut at an isophote that is, in every band, fainter than 1 % of the noise of a native pixel (in VIS
    about 31 mag per arcsec2). However faint they are, 90 % of a Sersic profile's light and one length of rays are drawn. A ring
    is cut 4.5 standard deviations of its width outside its radius. A picture is drawn as a whole.
    """
    return FINE_SCALE_ARCSEC + (0.0 if isinstance(light, PointSource) else _profile(light).reach_arcsec)


class _Profile(NamedTuple):
    """A component in its own frame, where a kernel's profile describes it."""

    shape: int
    parameters: NDArray[np.float32]
    """Parameters of the kernel's profile; the first is its reach in the frame."""
    frame: tuple[float, float, float, float]
    """Matrix from offsets in arcsec to the frame, by rows."""
    peak: float
    """Surface brightness per arcsec2, for a total flux of 1, where the profile is 1."""
    reach_arcsec: float
    """Reach along the longest direction."""


def _profile(light: Light) -> _Profile:
    match light:
        case PointSource():
            raise ValueError("a point source has no surface brightness: it can be drawn but not lensed")
        case Sersic():
            return _sersic_profile(light)
        case Annulus():
            return _annulus_profile(light)
        case Spikes():
            return _spikes_profile(light)
        case Picture():
            return _picture_profile(light)


def _sersic_profile(light: Sersic) -> _Profile:
    """Apply Graham & Driver 2005, equations 1-4, in units of the half-light radius of the circle with the ellipse's area."""
    n, radius, q = light.sersic_index, light.half_light_radius_arcsec, light.axis_ratio
    b, core, least = (float(g) for g in gammaincinv(2 * n, (0.5, _CORE_LIGHT, _LEAST_LIGHT)))
    peak = math.exp(2 * n * math.log(b) - math.lgamma(2 * n)) / (2 * math.pi * n * radius**2)
    visible = math.log(max(peak * _noise_area(light.sed) / _FAINTEST, 1.0))
    reach = (max(visible, least) / b) ** n
    parameters = [reach, b, n, 0.5 / n, (core / b) ** n]
    if light.arms is not None:
        arms = light.arms
        parameters += [arms.strength, 1 / math.tan(arms.pitch_rad), arms.phase_rad, arms.n_arms]
    return _Profile(
        kernels.SERSIC if light.arms is None else kernels.SPIRAL,
        np.array(parameters, np.float32),
        _frame(light.angle_rad, math.sqrt(q) / radius, 1 / (math.sqrt(q) * radius)),
        peak,
        reach * radius / math.sqrt(q),
    )


def _annulus_profile(light: Annulus) -> _Profile:
    """Return the profile of a ring, in units of its radius."""
    width, spread, q = light.width_arcsec / light.radius_arcsec, light.spread_rad, light.axis_ratio
    # The integral of r exp(-(r - 1)^2 / (2 w^2)) over r > 0, times that of the fall-off over azimuth.
    across = width**2 * math.exp(-0.5 / width**2) + width * math.sqrt(math.pi / 2) * (1 + math.erf(math.sqrt(0.5) / width))
    along = 2 * math.pi
    if spread is not None:
        along = spread * math.sqrt(2 * math.pi) * math.erf(math.pi / (math.sqrt(2) * spread))
    reach = 1 + _WIDTHS * width
    return _Profile(
        kernels.ANNULUS,
        np.array([reach, width, light.middle_rad, 0.0 if spread is None else 1 / spread], np.float32),
        _frame(light.angle_rad, math.sqrt(q) / light.radius_arcsec, 1 / (math.sqrt(q) * light.radius_arcsec)),
        1 / (light.radius_arcsec**2 * across * along),
        reach * light.radius_arcsec / math.sqrt(q),
    )


def _spikes_profile(light: Spikes) -> _Profile:
    """Return the profile of spikes, in lengths of a ray: the integral of 1 / (1 + r^2) over each of three lines is pi."""
    width = light.width_arcsec / light.length_arcsec
    peak = 1 / (3 * math.pi * width * math.sqrt(2 * math.pi) * light.length_arcsec**2)
    reach = math.sqrt(max(peak * _noise_area(light.sed) / _FAINTEST, 1.0))
    return _Profile(
        kernels.SPIKES,
        np.array([reach, width], np.float32),
        _frame(light.angle_rad, 1 / light.length_arcsec, 1 / light.length_arcsec),
        peak,
        reach * light.length_arcsec,
    )


def _picture_profile(light: Picture) -> _Profile:
    """Return the profile of a picture, in its pixels: its surface brightness is exact at their centres, and dark outside."""
    pixels = light.texture.pixels
    n, brightest, pixel_arcsec = len(pixels), float(pixels.max()), light.pixel_arcsec
    # Light ends a pixel beyond the centres of the outermost pixels.
    reach = (n + 1) / math.sqrt(2)
    return _Profile(
        kernels.PICTURE,
        np.concatenate([np.array([reach, n], np.float32), np.pad(pixels / np.float32(brightest), 1).ravel()]),
        _frame(light.angle_rad, 1 / pixel_arcsec, (-1 if light.is_mirrored else 1) / pixel_arcsec),
        brightest / pixel_arcsec**2,
        reach * pixel_arcsec,
    )


def _frame(angle_rad: float, along: float, across: float) -> tuple[float, float, float, float]:
    """Return the matrix that turns offsets to an axis, then scales them along and across it."""
    cos, sin = math.cos(angle_rad), math.sin(angle_rad)
    return along * cos, along * sin, -across * sin, across * cos


def _fluxes(light: Light, bands: tuple[str, ...]) -> NDArray[np.float32]:
    return np.array([light.sed.flux_adu_per_s(band) for band in bands], np.float32)


def _noise_area(sed: Sed) -> float:
    """Return the area in arcsec2 over which the flux equals the noise of a native pixel, in the band where it is largest."""
    return max(sed.flux_adu_per_s(band) / noise for band, noise in _NOISE.items())


def _add_point(light: PointSource, grid: FineGrid, fluxes: NDArray[np.float32], images: Image) -> None:
    """Share the flux among the four nearest pixels so that the centroid is right; light beyond the grid is lost."""
    for row, row_share in _nearest(light.y_arcsec, grid):
        for column, column_share in _nearest(light.x_arcsec, grid):
            images[:, row, column] += fluxes * np.float32(row_share * column_share)


def _nearest(position_arcsec: float, grid: FineGrid) -> list[tuple[int, float]]:
    """Return the indices along an axis of the pixels on either side that exist, with their shares."""
    position = position_arcsec / FINE_SCALE_ARCSEC + (grid.n_pixels - 1) / 2
    below = math.floor(position)
    shares = ((below, 1 - (position - below)), (below + 1, position - below))
    return [(index, share) for index, share in shares if 0 <= index < grid.n_pixels]
