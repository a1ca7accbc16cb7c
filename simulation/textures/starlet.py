"""Take the noise out of an image, and leave the structure that is significant on its own scale.

The image is the sum of differences between smoothings of growing width (the starlet transform; Starck & Murtagh 2006,
Astronomical Image and Data Analysis). A difference is kept where it exceeds the noise of its own scale, which is measured on
the image, so that the correlated noise of resampled images is taken out, too.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, convolve, convolve1d, gaussian_filter

from scanner.vocabulary.geometry import Image

N_SCALES = 4
"""Number of differences, of 1 to 8 pixels width; the rest is smooth."""
_SPLINE = np.array([1, 4, 6, 4, 1], np.float32) / 16
_SIGMAS = (4.0, 3.5, 3.0, 3.0)
"""Least significance of a difference: most pixels have no structure, so that on small scales few of them may pass by chance."""
_EDGE_PIXELS = 0.7
"""Width over which a difference sets in, so that no pixel stands alone."""
_AROUND, _LEAST_NEIGHBOURS = np.ones((3, 3), np.float32), 2.5
"""A pixel with those beside it, of which three must be high."""
_SIGMA_OF_MAD = 1.4826

Mask = NDArray[np.bool_]
"""True where pixels `[y, x]` of an image show nothing."""


def starlet(image: Image, n_scales: int = N_SCALES) -> tuple[list[Image], Image]:
    """Return the differences, finest first, and the rest; together they sum to the image `[y, x]`."""
    differences, smooth = [], image
    for scale in range(n_scales):
        kernel = np.zeros(4 * 2**scale + 1, np.float32)
        kernel[:: 2**scale] = _SPLINE
        smoother = convolve1d(convolve1d(smooth, kernel, axis=0, mode="mirror"), kernel, axis=1, mode="mirror")
        differences.append(smooth - smoother)
        smooth = smoother
    return differences, smooth


def without_noise(image: Image, is_masked: Mask) -> Image:
    """Return `[y, x]` with the differences that are significant, and the rest.

    Args:
        image: Finite pixels; masked ones have the level of the sky.
        is_masked: Pixels that the noise is not measured on.
    """
    differences, light = starlet(image)
    for difference, n_sigma in zip(differences, _SIGMAS, strict=True):
        is_high = (np.abs(difference) > n_sigma * scatter(difference[~is_masked])).astype(np.float32)
        # A pixel that is high alone is noise of the light itself, which is larger than that of the sky.
        is_significant = binary_dilation((is_high > 0) & (convolve(is_high, _AROUND, mode="constant") >= _LEAST_NEIGHBOURS))
        light = light + difference * gaussian_filter(is_significant.astype(np.float32), _EDGE_PIXELS)
    return light


def scatter(values: Image) -> float:
    """Return the standard deviation that most values have about their median: that of the noise, if most pixels are sky."""
    return _SIGMA_OF_MAD * float(np.median(np.abs(values - np.median(values))))
