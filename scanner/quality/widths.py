"""Widths of sources on stamps by adaptive moments: the Gaussian weight that has the width of what it weighs.

The weight's centre and width follow the weighted moments of the image until they agree (Bernstein & Jarvis 2002, AJ 123, 583).
Noise and neighbours far from the source count little, and for a Gaussian source the width is exact.
"""

import math

import numpy as np
from numpy.typing import NDArray

FWHM_PER_SIGMA = math.sqrt(8 * math.log(2))
_START_SIGMA_PIXELS = 2.0
_N_ITERATIONS = 60
"""Number of steps: each halves the distance from the width of a Gaussian source, and other profiles converge as fast."""
_LEAST_SIGMA_PIXELS, _MOST_SIGMA_SHARE = 0.3, 0.25
"""Range of the weight's width: a third of a pixel, and a quarter of the stamp, beyond which there is no compact source."""
_MOST_SHIFT_PIXELS = 3.0
"""Largest distance of the source from the middle of the stamp."""

_Numbers = NDArray[np.float64]


def fwhm_pixels(images: _Numbers) -> _Numbers:
    """Return the full width at half maximum, in pixels, of the source in the middle of each image.

    Args:
        images: Light above the sky, `[n, y, x]`.

    Returns:
        `[n]`; NaN where there is no source whose width can be measured.
    """
    n, height, width = images.shape
    y, x = np.arange(height, dtype=np.float64), np.arange(width, dtype=np.float64)
    middle_y, middle_x = (height - 1) / 2, (width - 1) / 2
    centre_y, centre_x = np.full(n, middle_y), np.full(n, middle_x)
    square = np.full(n, _START_SIGMA_PIXELS**2)
    most = (_MOST_SIGMA_SHARE * min(height, width)) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        for _ in range(_N_ITERATIONS):
            # The weight is a product of a column and a row, so no array of all pixels is made for it.
            down = np.exp(-((y - centre_y[:, None]) ** 2) / (2 * square[:, None]))
            across = np.exp(-((x - centre_x[:, None]) ** 2) / (2 * square[:, None]))
            rows, columns = np.einsum("nyx,nx->ny", images, across) * down, np.einsum("nyx,ny->nx", images, down) * across
            flux = rows.sum(axis=1)
            centre_y, centre_x = (rows @ y) / flux, (columns @ x) / flux
            spread_y = (rows * (y - centre_y[:, None]) ** 2).sum(axis=1)
            spread_x = (columns * (x - centre_x[:, None]) ** 2).sum(axis=1)
            # Weighted by its own width, a Gaussian has half of its variance on each axis, and both axes are added here.
            square = np.clip((spread_y + spread_x) / flux, _LEAST_SIGMA_PIXELS**2, most)
    is_inside = np.hypot(centre_y - middle_y, centre_x - middle_x) <= _MOST_SHIFT_PIXELS
    is_good = is_inside & (flux > 0) & (square > _LEAST_SIGMA_PIXELS**2) & (square < most)
    return np.where(is_good, FWHM_PER_SIGMA * np.sqrt(square), np.nan)
