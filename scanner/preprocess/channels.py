"""Channels of network inputs: bands, each on one of a few scales."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from infra.numba_loops import native
from scanner.preprocess.banded import Banded, banded, both_axes
from scanner.preprocess.channel import Scaling
from scanner.preprocess.scaling_kernels import brightest, fill_sky_units, write_arcsinh, write_detail
from scanner.preprocess.sky import LevelAndSigma, sky_level_and_sigma

Images = NDArray[np.floating[Any]]
"""Images of one band, `[batch, y, x]`."""

_LINEAR_BELOW_SIGMA = 3.0
_ASINH_RANGE = (-2.0, 6.0)
_CENTRE_SHARE = 0.3
"""Side of the central square in which the brightness of the object is measured, as a fraction of the stamp's side."""
_CENTRE_RANK = 9
"""Rank, from the brightest on, of the pixel that gives the object's brightness: a cosmic ray or dead pixel has no effect."""
_MIN_CENTRE_SIGMA = 10.0
_MAX_SKY_UNITS = 1e12
"""Largest value in sky sigma: a patch of one repeated value has no scatter, and pixels that differ from it must stay finite."""
_CENTRE_CONTRAST = 30.0
_BLUR_PIXELS = 4.0
"""Gaussian sigma of the blur, 0.4 arcsec: wider than an arc, narrower than the light of a lens galaxy."""
_SHOT_NOISE_SIGMA = 30.0
"""Light per pixel, in sky sigma, whose shot noise equals the noise of the sky, in MER mosaics of every band."""
_DETAIL_RANGE = (-3.0, 5.0)


MeasureSky = Callable[[Images], LevelAndSigma]
"""Function that returns sky level and sigma of images, `[batch]` each, as `sky_level_and_sigma` does."""
Target = tuple[Scaling, NDArray[np.float32], int]
"""Scale, output array `[batch, channel, y, x]`, and index of the channel that receives a band on that scale."""


def value_range(scaling: Scaling) -> tuple[float, float]:
    """Return the lowest and the highest value of a channel on that scale."""
    ranges: dict[Scaling, tuple[float, float]] = {"min_max": (0.0, 1.0), "detail": _DETAIL_RANGE}
    return ranges.get(scaling, _ASINH_RANGE)


def sky_units(images: Images) -> NDArray[np.float32]:
    """Return images `[batch, y, x]` less their sky level, in units of the sky sigma; masked pixels, exactly zero, become 0."""
    return _middle_in_sky_units(images, 0, sky_level_and_sigma)


def _middle_in_sky_units(images: Images, margin: int, measure: MeasureSky) -> NDArray[np.float32]:
    level, sigma = measure(images)
    n_y, n_x = images.shape[1:]
    units = np.empty((len(images), n_y - 2 * margin, n_x - 2 * margin), np.float32)
    fill_sky_units(native(images), margin, level, sigma, _MAX_SKY_UNITS, units)
    return units


def write_scaled(images: Images, targets: Sequence[Target], margin: int = 0, measure: MeasureSky = sky_level_and_sigma) -> None:
    """Write `[batch, y, x]` of one band on some scales, each to its channel of a C-contiguous `[batch, channel, y, x]`.

    The targets hold the images without a margin, whose pixels still count for the sky and in blurs. `measure` is called once,
    if a scale needs the sky.

    Raises:
        ValueError: the images do not fit into a target, or an image for `min_max` is constant.
    """
    for _, out, _ in targets:
        needed = (len(out), *(n + 2 * margin for n in out.shape[2:]))
        if images.shape != needed:
            raise ValueError(f"images must be {needed} for this input, got {images.shape}")
    n_pixels = images.shape[-1]
    scalings = {scaling for scaling, _, _ in targets}
    # A blur reads beyond the middle, and so may the brightness of the object.
    cut = 0 if "detail" in scalings or _centre_margin(n_pixels) < margin else margin
    units = _middle_in_sky_units(images, cut, measure) if scalings & _OF_SKY_UNITS.keys() else None
    for scaling, out, channel in targets:
        if units is None or scaling == "min_max":
            _fill_min_max(images, out[:, channel])
        else:
            _OF_SKY_UNITS[scaling](units, _centre_margin(n_pixels) - cut, margin - cut, out, channel)


def _fill_min_max(images: Images, out: NDArray[np.float32]) -> None:
    """Scale each image to 0-1 on its own (Wilde et al. 2022, section 2.1)."""
    low = images.min(axis=(-2, -1), keepdims=True)
    span = images.max(axis=(-2, -1), keepdims=True) - low
    if not np.all(span > 0):
        raise ValueError(f"min-max needs images that vary, got {int(np.sum(~(span > 0)))} constant or non-finite image(s)")
    margin = (images.shape[-1] - out.shape[-1]) // 2
    inside = slice(margin, margin + out.shape[-1])
    np.subtract(images[:, inside, inside], low, out=out, casting="same_kind")
    np.divide(out, span, out=out, casting="same_kind")


def _centre_margin(n_pixels: int) -> int:
    """Return the distance of the central square from the edge of a stamp."""
    return round(n_pixels * (1 - _CENTRE_SHARE) / 2)


def _write_sky_asinh(units: Images, _centre: int, margin: int, out: NDArray[np.float32], channel: int) -> None:
    """Scale linearly in the noise and logarithmically in the light: bright pixels elsewhere have no effect."""
    write_arcsinh(units, margin, np.full(len(units), 1 / _LINEAR_BELOW_SIGMA), *_ASINH_RANGE, out, channel)


def _write_centre_asinh(units: Images, centre: int, margin: int, out: NDArray[np.float32], channel: int) -> None:
    """Scale as `_write_sky_asinh` in units of the central object's brightness: equal for bright and faint objects."""
    brightness = np.maximum(brightest(units, centre, _CENTRE_RANK), _MIN_CENTRE_SIGMA)
    write_arcsinh(units, margin, _CENTRE_CONTRAST / brightness, *_ASINH_RANGE, out, channel)


def _write_detail(units: Images, _centre: int, margin: int, out: NDArray[np.float32], channel: int) -> None:
    """Write the image less its blur, in units of the local noise with shot noise: shows arcs on a galaxy's light."""
    smooth = both_axes(_blur(units.shape[-1], margin), units)
    write_detail(units, margin, smooth, _SHOT_NOISE_SIGMA, *_DETAIL_RANGE, out, channel)


_Write = Callable[[Images, int, int, NDArray[np.float32], int], None]
"""Writes images in sky units to a channel. The two numbers are the margin of the central square, and that of the channel."""

_OF_SKY_UNITS: Mapping[Scaling, _Write] = MappingProxyType(
    {"sky_asinh": _write_sky_asinh, "centre_asinh": _write_centre_asinh, "detail": _write_detail}
)


@lru_cache(maxsize=8)
def _blur(n_pixels: int, margin: int) -> Banded:
    """Return the blur of images of `n_pixels` a side, of which only the middle, without a margin, is computed."""
    return banded(gaussian_filter1d(np.eye(n_pixels), _BLUR_PIXELS, axis=0, mode="nearest")[margin : n_pixels - margin])
