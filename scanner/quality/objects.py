"""Sky, width and brightness of objects on their stamps, band by band."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from scanner.explain.photometry import circle_weights
from scanner.preprocess.sky import sky_level_and_sigma
from scanner.quality.widths import fwhm_pixels
from scanner.vocabulary.bands import AB_ZERO_POINT_UJY
from scanner.vocabulary.geometry import Geometry, Stamps

APERTURE_ARCSEC = 2.0
"""Diameter of the circle in which the light of an object is summed."""
_MOMENT_SIDE_ARCSEC = 4.0
"""Side of the middle of a stamp in which the width is measured."""
QUANTITIES = ("level_sigma", "noise_ujy", "mag", "snr", "fwhm_arcsec")


def column(quantity: str, band: str) -> str:
    """Return the name of the column of a quantity in a band."""
    return f"{quantity}_{band.lower()}"


def measure_objects(
    stamps: Stamps, geometry: Geometry, zero_points_ab_mag: Mapping[str, float]
) -> dict[str, NDArray[np.float64]]:
    """Return the quantities of each object and band, `[n]` by `column`; NaN where there is no value.

    They are the sky level in standard deviations of a pixel, the sky noise of a pixel in microjansky, the AB magnitude in a
    circle, its signal-to-noise ratio for white noise, and the width of the source.

    Args:
        stamps: Band to `[n, y, x]`, all finite.
        geometry: Geometry of the stamps.
        zero_points_ab_mag: AB magnitude of one unit of the images, by band.
    """
    measured: dict[str, NDArray[np.float64]] = {}
    for band, grid in geometry.grids.items():
        images, pixel_arcsec = stamps[band], grid.pixel_scale_arcsec
        level, sigma = sky_level_and_sigma(images)
        weights = circle_weights(images.shape[-1], APERTURE_ARCSEC / 2 / pixel_arcsec)
        flux = np.einsum("nyx,yx->n", images, weights, dtype=np.float64) - level * weights.sum()
        zero_point = zero_points_ab_mag.get(band)
        ujy = math.nan if zero_point is None else 10 ** (-0.4 * (zero_point - AB_ZERO_POINT_UJY))
        edge = max((images.shape[-1] - round(_MOMENT_SIDE_ARCSEC / pixel_arcsec)) // 2, 0)
        inner = slice(edge, images.shape[-1] - edge)
        middle = images[:, inner, inner].astype(np.float64) - level[:, None, None]
        mag = AB_ZERO_POINT_UJY - 2.5 * np.log10(np.where(flux > 0, flux, np.nan) * ujy)
        snr = flux / (sigma * math.sqrt(float((weights**2).sum())))
        values = (level / sigma, sigma * ujy, mag, snr, fwhm_pixels(middle) * pixel_arcsec)
        measured |= {column(name, band): value for name, value in zip(QUANTITIES, values, strict=True)}
    return measured
