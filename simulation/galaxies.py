"""Light of galaxies: Sersic profiles with spectral energy distributions, evaluated on plain or ray-shot coordinates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.special import gamma, gammaincinv

from scanner.pixels.bands import EUCLID

Image = NDArray[np.float32]

PIVOT_MICRON: Mapping[str, float] = MappingProxyType({"VIS": 0.72, "Y": 1.08, "J": 1.37, "H": 1.77})
"""Pivot wavelengths (Euclid Collaboration: Schirmer et al. 2022; Cropper et al. 2025)."""

FINE_SCALE_ARCSEC = 0.05
"""Pixels on which light is drawn: half a VIS pixel, a sixth of a NISP pixel."""
_CORE_PIXELS = 8
"""Side of the square about a galaxy's centre that is oversampled."""
_OVERSAMPLING = 10


@dataclass(frozen=True)
class Sed:
    """AB magnitudes of a galaxy: a straight line in log wavelength from VIS to H, and what each band differs from it."""

    vis_mag: float
    vis_minus_h: float
    departures: Mapping[str, float] = field(default_factory=dict)

    def mag(self, band: str) -> float:
        """Total AB magnitude in a band."""
        step = np.log(PIVOT_MICRON[band] / PIVOT_MICRON["VIS"]) / np.log(PIVOT_MICRON["H"] / PIVOT_MICRON["VIS"])
        return float(self.vis_mag - self.vis_minus_h * step + self.departures.get(band, 0.0))

    def flux_adu_per_s(self, band: str) -> float:
        """Total flux in the band's own ADU/s."""
        return EUCLID[band].adu_per_s(self.mag(band))


@dataclass(frozen=True)
class SpiralArms:
    """Two logarithmic arms laid over a disc; they move light about but add none."""

    strength: float
    pitch_rad: float
    phase_rad: float


@dataclass(frozen=True)
class Light:
    """One Sersic component."""

    x_arcsec: float
    y_arcsec: float
    half_light_radius_arcsec: float
    """Of the circle with the ellipse's area."""
    sersic_index: float
    axis_ratio: float
    angle_rad: float
    sed: Sed
    arms: SpiralArms | None = None

    def __post_init__(self) -> None:
        if not self.half_light_radius_arcsec > 0:
            raise ValueError(f"half_light_radius_arcsec must be > 0, got {self.half_light_radius_arcsec}")
        if not 0.3 <= self.sersic_index <= 8:
            raise ValueError(f"sersic_index must be in [0.3, 8], got {self.sersic_index}")
        if not 0 < self.axis_ratio <= 1:
            raise ValueError(f"axis_ratio must be in (0, 1], got {self.axis_ratio}")

    def unit_brightness(self, x_arcsec: NDArray[np.floating], y_arcsec: NDArray[np.floating]) -> NDArray[np.floating]:
        """Surface brightness per arcsec2 at the coordinates, for a total flux of 1 (Graham & Driver 2005, equations 1-4)."""
        n, radius = self.sersic_index, self.half_light_radius_arcsec
        cos, sin = np.cos(self.angle_rad), np.sin(self.angle_rad)
        dx, dy = x_arcsec - self.x_arcsec, y_arcsec - self.y_arcsec
        major, minor = cos * dx + sin * dy, cos * dy - sin * dx
        scaled = (self.axis_ratio * major**2 + minor**2 / self.axis_ratio) / radius**2
        b = gammaincinv(2 * n, 0.5)
        peak = b ** (2 * n) / (2 * np.pi * n * radius**2 * gamma(2 * n))
        brightness = float(peak) * np.exp(-float(b) * scaled ** (0.5 / n))
        if self.arms is None:
            return brightness
        turned = np.arctan2(minor / self.axis_ratio, major) - np.log(np.sqrt(scaled) + 1e-3) / np.tan(self.arms.pitch_rad)
        contrast = self.arms.strength * scaled / (scaled + 0.25)
        return brightness * (1 + contrast * np.cos(2 * (turned - self.arms.phase_rad)))


@dataclass(frozen=True)
class FineGrid:
    """Square grid of fine pixels about the origin; an even number of them a side."""

    n_pixels: int

    @property
    def axis_arcsec(self) -> NDArray[np.float32]:
        """Pixel centres along x, and along y."""
        return ((np.arange(self.n_pixels) - (self.n_pixels - 1) / 2) * FINE_SCALE_ARCSEC).astype(np.float32)

    def window(self, x_arcsec: float, y_arcsec: float, half_side_arcsec: float) -> tuple[slice, slice]:
        """`[y, x]` slices of the pixels within `half_side_arcsec` of a position; empty when it lies outside."""

        def along(centre: float) -> slice:
            low, high = (
                round((centre + side) / FINE_SCALE_ARCSEC + (self.n_pixels - 1) / 2)
                for side in (-half_side_arcsec, half_side_arcsec)
            )
            return slice(min(max(low, 0), self.n_pixels), min(max(high + 1, 0), self.n_pixels))

        return along(y_arcsec), along(x_arcsec)


def extent_arcsec(light: Light) -> float:
    """Half side of the square outside which a component is not drawn: beyond it lies < 1 % of n=1 and < 6 % of n=4 light."""
    radii = 5.0 + 2.5 * max(0.0, light.sersic_index - 1)
    bright = max(0.0, 23.0 - light.sed.vis_mag)
    return light.half_light_radius_arcsec * (radii + 1.5 * bright) / np.sqrt(light.axis_ratio) + 0.3


def draw(lights: Sequence[Light], grid: FineGrid) -> dict[str, Image]:
    """Band name to `[y, x]`, ADU/s per fine pixel, before any blurring."""
    images = {band: np.zeros((grid.n_pixels, grid.n_pixels), np.float32) for band in EUCLID}
    for light in lights:
        rows, columns = grid.window(light.x_arcsec, light.y_arcsec, extent_arcsec(light))
        unit = _unit_image(light, grid, rows, columns)
        if unit.size:
            for band, image in images.items():
                image[rows, columns] += np.float32(light.sed.flux_adu_per_s(band)) * unit
    return images


def draw_lensed(
    lights: Sequence[Light], beta_x_arcsec: NDArray[np.floating], beta_y_arcsec: NDArray[np.floating]
) -> dict[str, Image]:
    """Like `draw`, on the source-plane coordinates `[y, x]` of fine pixels: lensing conserves surface brightness."""
    images = {band: np.zeros(beta_x_arcsec.shape, np.float32) for band in EUCLID}
    for light in lights:
        unit = light.unit_brightness(beta_x_arcsec, beta_y_arcsec) * FINE_SCALE_ARCSEC**2
        for band in images:
            images[band] += (light.sed.flux_adu_per_s(band) * unit).astype(np.float32)
    return images


def _unit_image(light: Light, grid: FineGrid, rows: slice, columns: slice) -> Image:
    """The component at unit total flux on a window of the grid, its cuspy centre oversampled."""
    axis = grid.axis_arcsec
    x, y = axis[columns], axis[rows]
    image = np.asarray(light.unit_brightness(x[None, :], y[:, None]), np.float32)
    core_rows, core_columns = grid.window(light.x_arcsec, light.y_arcsec, _CORE_PIXELS / 2 * FINE_SCALE_ARCSEC)
    core_x, core_y = axis[core_columns], axis[core_rows]
    if core_x.size and core_y.size:
        offsets = ((np.arange(_OVERSAMPLING) + 0.5) / _OVERSAMPLING - 0.5) * FINE_SCALE_ARCSEC
        sub_x, sub_y = (core_x[:, None] + offsets).ravel(), (core_y[:, None] + offsets).ravel()
        sub = light.unit_brightness(sub_x[None, :], sub_y[:, None])
        mean = sub.reshape(core_y.size, _OVERSAMPLING, core_x.size, _OVERSAMPLING).mean(axis=(1, 3))
        image[_within(core_rows, rows), _within(core_columns, columns)] = mean
    return image * np.float32(FINE_SCALE_ARCSEC**2)


def _within(inner: slice, outer: slice) -> slice:
    return slice(inner.start - outer.start, inner.stop - outer.start)
