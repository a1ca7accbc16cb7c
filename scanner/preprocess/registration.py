"""Measure how far the NISP bands of a stamp lie from VIS, by the peak of their cross-correlation.

Each band is compared with VIS blurred to the band's PSF. The check trusts a shift only if the shifted VIS image explains the
band well, and much better than VIS without a shift: then colour gradients, arcs and neighbours of another colour are not taken
for a shift.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import binary_opening, gaussian_filter1d

from scanner.preprocess.banded import Banded, banded, both_axes
from scanner.preprocess.channels import sky_units
from scanner.preprocess.resample import area_operator, regrid
from scanner.vocabulary.bands import EUCLID
from scanner.vocabulary.geometry import Geometry, Grid, Stamps

LIMIT_ARCSEC = 0.25
"""Largest offset of a band that is not flagged: the offsets of simulated objects scatter by 0.02 arcsec."""
MIN_CORRELATION = 0.9
"""Smallest correlation of a band with the shifted VIS image; noise, and light that only one band has, lower it."""
MIN_EXPLAINED = 0.8
"""Smallest share of the difference between a band and VIS that the shift must explain."""
REACH_ARCSEC = 3.5
"""Largest offset that is looked for, along each axis."""
MAX_MASKED = 0.002
"""Largest share of masked pixels, which are exactly zero, in the compared square: a mask across a galaxy moves its light."""
_MIN_DISTINCT = 0.5
"""Smallest number of distinct values per pixel of an image whose values are not quantised; real ones have 0.99 and more."""
_MASK_SHAPES = ((3, 3), (1, 9), (9, 1))
"""Shapes in pixels that masks hold. With steps of half the noise, a fifth of the sky is zero, and hardly fills one."""
_SIDE_ARCSEC = 10.0
"""Side of the central square that is compared."""
_TAPER = 0.08
"""Part of that side, at each edge, in which the images fade to zero."""
_FWHM_PER_SIGMA = 2.3548


@dataclass(frozen=True)
class BandOffset:
    """Offset of one band from VIS for each of `n` objects; arrays are `[n]`."""

    dx_arcsec: NDArray[np.float64]
    """Offset along x, to higher columns."""
    dy_arcsec: NDArray[np.float64]
    """Offset along y, to higher rows."""
    correlation: NDArray[np.float64]
    """Correlation of the band with VIS shifted by the offset, at most 1."""
    explained: NDArray[np.float64]
    """Share of the difference between band and VIS that the shift explains, 0 to 1."""

    @property
    def distance_arcsec(self) -> NDArray[np.float64]:
        return np.hypot(self.dx_arcsec, self.dy_arcsec)

    @property
    def is_misregistered(self) -> NDArray[np.bool_]:
        """Flags `[n]`: true if the band is certainly shifted; false for objects that are too faint to tell."""
        return self.is_certain & (self.distance_arcsec > LIMIT_ARCSEC)

    @property
    def is_certain(self) -> NDArray[np.bool_]:
        """Flags `[n]`: true if the band's distance from VIS is known; one within the limit has no difference to explain."""
        is_explained = (self.explained >= MIN_EXPLAINED) | (self.distance_arcsec <= LIMIT_ARCSEC)
        return (self.correlation >= MIN_CORRELATION) & is_explained


@dataclass(frozen=True)
class Registration:
    """Places of the bands of `n` objects on each other."""

    notes: list[str]
    """A note such as `misregistered: Y 0.62, H 0.60 arcsec from VIS` for each object, or an empty text."""
    shift_arcsec: NDArray[np.float32]
    """Largest distance of a band from VIS, `[n]`, among the bands for which it is certain; NaN if there is none."""


def registration_offsets(stamps: Stamps, geometry: Geometry) -> Mapping[str, BandOffset]:
    """Return the offset of each band but VIS, measured on the central 10 arcsec of `[n, y, x]`; empty without VIS.

    An object with masked pixels has offsets of zero. An object's offsets do not depend on the other objects.
    """
    if "VIS" not in geometry.grids:
        return {}
    others = [band for band in geometry.grids if band != "VIS"]
    return {band: _offset(stamps["VIS"], stamps[band], band, geometry) for band in others}


def registration(stamps: Stamps, geometry: Geometry) -> Registration:
    """Compare the bands of stamps `[n, y, x]` with VIS."""
    offsets = registration_offsets(stamps, geometry)
    n = len(next(iter(stamps.values())))
    notes, shift = [], np.full(n, np.nan, np.float32)
    for i in range(n):
        far = [f"{band} {found.distance_arcsec[i]:.2f}" for band, found in offsets.items() if found.is_misregistered[i]]
        notes.append(f"misregistered: {', '.join(far)} arcsec from VIS" if far else "")
        known = [found.distance_arcsec[i] for found in offsets.values() if found.is_certain[i]]
        shift[i] = max(known, default=np.nan)
    return Registration(notes, shift)


def registration_notes(stamps: Stamps, geometry: Geometry) -> list[str]:
    """Return the notes of `registration` alone."""
    return registration(stamps, geometry).notes


def _offset(vis: NDArray[np.float32], images: NDArray[np.float32], band: str, geometry: Geometry) -> BandOffset:
    grid, vis_grid = geometry.grids[band], geometry.grids["VIS"]
    found = np.zeros((len(vis), 4))
    # One object at a time: a transform of many images at once may round differently.
    for i in range(len(vis)):
        sharp = vis[i : i + 1]
        if max(_masked(sharp[0], vis_grid), _masked(images[i], grid)) > MAX_MASKED:
            continue
        if grid != vis_grid:
            scales = vis_grid.pixel_scale_arcsec, grid.n_pixels, grid.pixel_scale_arcsec
            sharp = regrid(sharp, area_operator(vis_grid.n_pixels, *scales))
        blurred = both_axes(_blur(band, grid), sky_units(sharp))[0]
        pair = _faded(_middle(blurred, grid)), _faded(_middle(sky_units(images[i : i + 1])[0], grid))
        found[i] = _peak(*pair, grid.pixel_scale_arcsec)
    return BandOffset(*found.T)


def _middle(image: NDArray[np.float32], grid: Grid) -> NDArray[np.float32]:
    """Return the central square that is compared."""
    margin = max(round((grid.side_arcsec - _SIDE_ARCSEC) / 2 / grid.pixel_scale_arcsec), 0)
    return image[margin : len(image) - margin, margin : len(image) - margin]


def _masked(image: NDArray[np.float32], grid: Grid) -> float:
    """Return the share of masked pixels in the central square.

    Sky of quantised values, as in integer images, has exact zeros of its own, which are scattered: there, a zero counts only in
    a square of 3 pixels or a straight line of 9 that is all zero, as in masked stars and dead columns.
    """
    middle = _middle(image, grid)
    is_zero = middle == 0
    if is_zero.mean() > MAX_MASKED and _is_quantised(middle[~is_zero]):
        is_zero = np.logical_or.reduce([binary_opening(is_zero, np.ones(shape)) for shape in _MASK_SHAPES])
    return float(np.mean(is_zero))


def _is_quantised(values: NDArray[np.float32]) -> bool:
    """Return whether most pixels share their value with others."""
    return len(np.unique(values)) < _MIN_DISTINCT * values.size


def _faded(image: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return a square image that fades to zero at its edges."""
    n = len(image)
    edge = (np.minimum(np.arange(n), n - 1 - np.arange(n)) + 0.5) / (_TAPER * n)
    taper = np.sin(np.clip(edge, 0, 1) * np.pi / 2) ** 2
    return np.asarray(image * np.outer(taper, taper), np.float64)


def _peak(vis: NDArray[np.float64], image: NDArray[np.float64], scale_arcsec: float) -> tuple[float, float, float, float]:
    """Return dx and dy in arcsec, correlation and explained share of the shift with the largest correlation; zeros for none."""
    reach = min(round(REACH_ARCSEC / scale_arcsec), len(vis) // 2 - 1)
    energy = float((vis**2).sum() * (image**2).sum())
    if energy <= 0:
        return 0.0, 0.0, 0.0, 0.0
    shape = (fft.next_fast_len(len(vis) + reach, real=True),) * 2
    product = fft.rfft2(image, shape) * np.conj(fft.rfft2(vis, shape))
    near = np.roll(fft.irfft2(product, shape), (reach, reach), (0, 1))[: 2 * reach + 1, : 2 * reach + 1] / np.sqrt(energy)
    y, x = np.unravel_index(near[1:-1, 1:-1].argmax(), (2 * reach - 1, 2 * reach - 1))
    (y, x), unshifted = (int(y) + 1, int(x) + 1), float(near[reach, reach])
    dx = (x - reach + _vertex(near[y, x - 1 : x + 2])) * scale_arcsec
    dy = (y - reach + _vertex(near[y - 1 : y + 2, x])) * scale_arcsec
    best = float(near[y, x])
    return dx, dy, best, 1 - (1 - best**2) / max(1 - unshifted**2, 1e-12)


def _vertex(values: NDArray[np.float64]) -> float:
    """Return the place of the maximum of the parabola through three values, -1 to 1 from the middle one."""
    low, middle, high = map(float, values)
    curvature = low - 2 * middle + high
    return float(np.clip((low - high) / (2 * curvature), -1, 1)) if curvature < 0 else 0.0


@lru_cache(maxsize=16)
def _blur(band: str, grid: Grid) -> Banded:
    """Return the blur from the PSF of VIS to that of a band, as Gaussians."""
    sigma = np.sqrt(EUCLID[band].psf_fwhm_arcsec ** 2 - EUCLID["VIS"].psf_fwhm_arcsec ** 2) / _FWHM_PER_SIGMA
    return banded(gaussian_filter1d(np.eye(grid.n_pixels), sigma / grid.pixel_scale_arcsec, axis=0, mode="nearest"))
