"""Aperture photometry of candidates on their stamps: magnitudes, colours, and the light of arcs beside the lens galaxy.

Apertures are circles about the centre of the stamp. No correction is made for light outside of them, so magnitudes are for
selection, not for a fit of spectra. For a colour, the sharper band is blurred to the width of the other.
"""

import math
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, label

from scanner.preprocess.residual import BLUR_ARCSEC, above_sky, galaxy_on_ellipses, galaxy_radii_arcsec
from scanner.preprocess.sky import sky_level_and_sigma
from scanner.vocabulary.bands import AB_ZERO_POINT_UJY, EUCLID, Band
from scanner.vocabulary.geometry import Geometry, Image, Stamps

APERTURES_ARCSEC = (1, 2)
"""Diameters of the circles."""
ARC_ARCSEC = (0.5, 3.0)
"""Inner and outer radius of the ring in which arcs are looked for."""
ARC_SIGMA = 3.0
"""Smallest height of the pixels of an arc above the galaxy, in sigma of the blurred sky."""
ARC_PIXELS = 10
"""Smallest number of such pixels that touch each other: noise alone makes no region of this size."""
_SUBPIXELS = 20
"""Points along each side of a pixel that tell which part of it lies in a circle."""
_SIGMA_PER_FWHM = 1 / math.sqrt(8 * math.log(2))

_Numbers = NDArray[np.float64]
ZeroPoints = Mapping[str, float]
"""AB magnitude of one unit of the images, by band; a band without one has no magnitudes."""


def photometry(stamps: Stamps, geometry: Geometry, zero_points_ab_mag: ZeroPoints) -> dict[str, _Numbers]:
    """Return magnitudes, colours and sky noise of each object, `[n]` by name; NaN where the light or the zero point is missing.

    Args:
        stamps: Band to `[n, y, x]`, all finite.
        geometry: Geometry of the stamps.
        zero_points_ab_mag: Zero points by band.
    """
    measured: dict[str, _Numbers] = {}
    for band in EUCLID:
        images, pixel_arcsec = stamps[band], geometry.grids[band].pixel_scale_arcsec
        level, sigma = sky_level_and_sigma(images)
        ujy = _ujy_of_unit(zero_points_ab_mag.get(band))
        for diameter_arcsec in APERTURES_ARCSEC:
            flux = _in_circle(images, level, pixel_arcsec, diameter_arcsec / 2)
            measured[f"mag_{band.lower()}_{diameter_arcsec}arcsec"] = _ab_mag(flux * ujy)
        measured[f"sky_sigma_{band.lower()}_ujy"] = sigma * ujy
    for blue, red in (("VIS", "H"), ("Y", "H")):
        measured[f"lens_{blue.lower()}_minus_{red.lower()}"] = _colour(stamps, geometry, zero_points_ab_mag, blue, red)
    return measured


def arc_photometry(stamps: Stamps, geometry: Geometry, zero_points_ab_mag: ZeroPoints) -> dict[str, _Numbers]:
    """Return signal-to-noise ratio and colour of the light beside the galaxy of each object, `[n]` by name.

    The galaxy is subtracted as in the residual pictures. Arcs are regions of VIS in a ring about the centre that rise above
    the blurred noise; neighbours in the ring count as arcs. The ratio is 0 without such a region, and the colour then is NaN.

    Args:
        stamps: Band to `[n, y, x]`, all finite.
        geometry: Geometry of the stamps.
        zero_points_ab_mag: Zero points by band.
    """
    n = len(stamps["VIS"])
    snr, colour = np.zeros(n), np.full(n, np.nan)
    same_grid = geometry.grids["VIS"] == geometry.grids["H"]
    for i in range(n):
        vis, pixel_arcsec = stamps["VIS"][i], geometry.grids["VIS"].pixel_scale_arcsec
        above, sigma = above_sky(vis)
        radii_arcsec = galaxy_radii_arcsec(above, pixel_arcsec)
        left = above - galaxy_on_ellipses(above, radii_arcsec, pixel_arcsec)
        is_arc = _arcs(left, pixel_arcsec)
        if not is_arc.any():
            continue
        snr[i] = left[is_arc].sum() / math.sqrt(is_arc.sum())
        if same_grid:
            matched = gaussian_filter(left, _blur_pixels(EUCLID["VIS"], EUCLID["H"], pixel_arcsec)) * sigma
            red, sigma_red = above_sky(stamps["H"][i])
            red_left = (red - galaxy_on_ellipses(red, radii_arcsec, pixel_arcsec)) * sigma_red
            fluxes = [
                part[is_arc].sum() * _ujy_of_unit(zero_points_ab_mag.get(band))
                for part, band in ((matched, "VIS"), (red_left, "H"))
            ]
            colour[i] = np.subtract(*_ab_mag(np.array(fluxes)))
    return {"arc_snr_vis": snr, "arc_vis_minus_h": colour}


def _arcs(left: _Numbers, pixel_arcsec: float) -> NDArray[np.bool_]:
    """Return which pixels of an image without its galaxy, in sigma of the sky, belong to an arc."""
    blur = BLUR_ARCSEC / pixel_arcsec
    noise = 1 / (2 * math.sqrt(math.pi) * blur)  # of white noise of sigma 1 after a Gaussian blur
    radius_arcsec = _radius_pixels(left.shape) * pixel_arcsec
    in_ring = (radius_arcsec >= ARC_ARCSEC[0]) & (radius_arcsec < ARC_ARCSEC[1])
    regions, _ = label(in_ring & (gaussian_filter(left, blur) > ARC_SIGMA * noise))
    large = np.bincount(regions.ravel()) >= ARC_PIXELS
    large[0] = False
    return np.asarray(large[regions])


def _colour(stamps: Stamps, geometry: Geometry, zero_points: ZeroPoints, blue: str, red: str) -> _Numbers:
    """Return the AB colour `blue - red` in the smallest circle, `[n]`."""
    mags = []
    for band in (blue, red):
        pixel_arcsec = geometry.grids[band].pixel_scale_arcsec
        level, _ = sky_level_and_sigma(stamps[band])
        images = _blurred_middle(stamps[band], _blur_pixels(EUCLID[band], EUCLID[red], pixel_arcsec), pixel_arcsec)
        flux = _in_circle(images, level, pixel_arcsec, APERTURES_ARCSEC[0] / 2)
        mags.append(_ab_mag(flux * _ujy_of_unit(zero_points.get(band))))
    return np.asarray(mags[0] - mags[1])


def _blurred_middle(images: Image, blur_pixels: float, pixel_arcsec: float) -> NDArray[np.floating[Any]]:
    """Return the middle of each image, `[n, y, x]`, blurred; it holds all pixels that reach into the smallest circle."""
    reach = math.ceil(APERTURES_ARCSEC[0] / 2 / pixel_arcsec + 4 * blur_pixels) + 1
    edge = max(images.shape[-1] // 2 - reach, 0)
    middle = images[:, edge : images.shape[1] - edge, edge : images.shape[2] - edge].astype(np.float64)
    return gaussian_filter(middle, (0, blur_pixels, blur_pixels)) if blur_pixels else middle


def _blur_pixels(sharp: Band, wide: Band, pixel_arcsec: float) -> float:
    """Return the sigma, in pixels, of the Gaussian that blurs one band to the width of another."""
    square = wide.psf_fwhm_arcsec**2 - sharp.psf_fwhm_arcsec**2
    return math.sqrt(max(square, 0)) * _SIGMA_PER_FWHM / pixel_arcsec


def _in_circle(images: NDArray[np.floating[Any]], level: _Numbers, pixel_arcsec: float, radius_arcsec: float) -> _Numbers:
    """Return the flux above the sky within a circle about the centre, `[n]`."""
    weights = circle_weights(images.shape[-1], radius_arcsec / pixel_arcsec)
    sums: _Numbers = np.einsum("nyx,yx->n", images, weights, dtype=np.float64)
    return sums - level * weights.sum()


@cache
def circle_weights(n_pixels: int, radius_pixels: float) -> _Numbers:
    """Return the part of each pixel that lies within a circle about the centre of the image, `[y, x]`, for reading only."""
    edge = max(n_pixels // 2 - math.ceil(radius_pixels), 0)
    middle = slice(edge, n_pixels - edge)
    at = ((np.arange(n_pixels * _SUBPIXELS) + 0.5) / _SUBPIXELS - n_pixels / 2).reshape(n_pixels, _SUBPIXELS)[middle].ravel()
    is_inside = at[:, None] ** 2 + at**2 < radius_pixels**2
    n_across = n_pixels - 2 * edge
    weights: _Numbers = np.zeros((n_pixels, n_pixels))
    weights[middle, middle] = is_inside.reshape(n_across, _SUBPIXELS, n_across, _SUBPIXELS).mean(axis=(1, 3))
    # One array serves all batches.
    weights.flags.writeable = False
    return weights


def _radius_pixels(shape: tuple[int, ...]) -> _Numbers:
    y, x = np.indices(shape) - (np.array(shape)[:, None, None] - 1) / 2
    return np.hypot(y, x)


def _ujy_of_unit(zero_point_ab_mag: float | None) -> float:
    """Return the flux density of one unit of an image in microjansky; NaN without a zero point."""
    return math.nan if zero_point_ab_mag is None else 10 ** (-0.4 * (zero_point_ab_mag - AB_ZERO_POINT_UJY))


def _ab_mag(flux_ujy: _Numbers) -> _Numbers:
    """Return AB magnitudes; NaN for fluxes that are not above 0."""
    return AB_ZERO_POINT_UJY - 2.5 * np.log10(np.where(flux_ujy > 0, flux_ujy, np.nan))
