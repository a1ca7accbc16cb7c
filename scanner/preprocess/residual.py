"""The arcs of a lens: an image after its galaxy was subtracted as a smooth profile on ellipses."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from scanner.preprocess.ellipse_profile import ellipse_radii_arcsec, light_left, profile
from scanner.preprocess.sky import sky_level_and_sigma
from scanner.vocabulary.geometry import Image

_FITTED_ARCSEC = 2.5
"""Radius within which ellipses are compared."""
_FIRST_STEPS = (0.1, 0.1, 0.2, 0.2)
"""First steps of the search in the centre (y, x, in arcsec) and the ellipticity (along the axes, along the diagonals)."""
_N_HALVINGS = 5
_MOST_ELLIPTIC = 0.9
_OFF_CENTRE_ARCSEC = 0.5
"""Largest distance of a galaxy from the middle, along both axes together."""
BLUR_ARCSEC = 0.1
_SOFTENING = 1.0
"""Value, in sigma of the sky, at which the stretch of pictures changes from linear to logarithmic."""
RESIDUAL_STRETCH = (-2.0, 15.0)
"""Values that are black and white in pictures, in sigma of the sky."""

_Values = NDArray[np.float64]

_Residual = NDArray[np.float64]
"""`[y, x]`, in sigma of the sky."""


def residual_in_sky(image: Image, pixel_arcsec: float) -> _Residual:
    """Return an image minus the galaxy in its middle and the sky, in sigma of the sky, `[y, x]`.

    The galaxy is the median of the pixels on concentric ellipses, as a convex function of their radius: an arc hardly changes
    a median, and a whole ring lies above a convex profile. Of the ellipses, those that leave the least light are taken. The
    light of neighbours stays. The result is blurred by 0.1 arcsec, because faint arcs are seen by their shape.

    Args:
        image: Pixels `[y, x]`, in any unit of flux.
        pixel_arcsec: Side of a pixel.
    """
    above, _ = above_sky(image)
    left = above - galaxy_on_ellipses(above, galaxy_radii_arcsec(above, pixel_arcsec), pixel_arcsec)
    return gaussian_filter(left, BLUR_ARCSEC / pixel_arcsec)


def above_sky(image: Image) -> tuple[_Values, float]:
    """Return an image minus the sky, in sigma of the sky, `[y, x]`, and that sigma in the unit of the image."""
    (level,), (sigma,) = sky_level_and_sigma(image[None])
    return (np.asarray(image, np.float64) - level) / sigma, float(sigma)


def galaxy_radii_arcsec(above: _Values, pixel_arcsec: float) -> _Values:
    """Return the mean radius of the ellipse through each pixel, `[y, x]`, for the galaxy in the middle of an image."""
    y, x = (np.indices(above.shape) - (np.array(above.shape)[:, None, None] - 1) / 2) * pixel_arcsec
    fitted = np.hypot(y, x) < _FITTED_ARCSEC
    place = _best_ellipse(above[fitted], y[fitted], x[fitted], pixel_arcsec)
    return ellipse_radii_arcsec(y.ravel(), x.ravel(), place).reshape(above.shape)


def galaxy_on_ellipses(above: _Values, radii_arcsec: _Values, pixel_arcsec: float) -> _Values:
    """Return the galaxy as a convex function of the radius of its ellipses, `[y, x]`, in the unit of the image."""
    values = above.ravel()
    return profile(values, np.argsort(values), radii_arcsec.ravel(), pixel_arcsec).reshape(above.shape)


def _best_ellipse(above: _Values, y: _Values, x: _Values, pixel_arcsec: float) -> _Values:
    """Return centre (y, x, in arcsec) and ellipticity of the profile that leaves the least light, found in steps."""
    order = np.argsort(above)

    def left_by(place: _Values) -> float:
        if math.hypot(*place[:2]) > _OFF_CENTRE_ARCSEC or math.hypot(*place[2:]) > _MOST_ELLIPTIC:
            return math.inf
        return light_left(above, order, y, x, place, pixel_arcsec)

    best = np.zeros(4)
    least = left_by(best)
    for halvings in range(_N_HALVINGS):
        moves = [sign * step for step in np.diag(_FIRST_STEPS) / 2**halvings for sign in (-1, 1)]
        before = math.inf
        while least < before:
            before = least
            for move in moves:
                if (left := left_by(best + move)) < least:
                    best, least = best + move, left
    return best


def residual_picture(residual: _Residual) -> NDArray[np.float64]:
    """Return a residual in 0-1, grey at zero, on an asinh stretch that is the same for every image."""
    low, high = (math.asinh(value / _SOFTENING) for value in RESIDUAL_STRETCH)
    return np.clip((np.arcsinh(residual / _SOFTENING) - low) / (high - low), 0, 1)
