"""Compiled loops of `channels`: they read images `[batch, y, x]` and write one channel of `[batch, channel, y, x]`.

Each loop writes its channel in place, in one pass over the middle of an image, which begins `margin` pixels from its edges. NaN
stays NaN.
"""

import math
from typing import Any, TypeVar

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial
from numpy.typing import NDArray

from infra.numba_loops import compiled_fast

_Images = NDArray[np.floating[Any]]
_Numbers = NDArray[np.float64]
_Inputs = NDArray[np.float32]
_Number = TypeVar("_Number", float, np.float32)

_LEAST_MANTISSA = 2**-0.5
_LEAST_BITS = np.int32(np.float32(_LEAST_MANTISSA).view(np.int32))
"""Bits of the smallest mantissa as float32: after subtracting them, the exponent is in the bits above the 23rd."""
_MANTISSA_BITS = np.int32(2**23 - 1)
_EXPONENT_SHIFT = np.int32(23)
_LOG_2 = np.float32(math.log(2))
_ONE = np.float32(1)


def _log_over_distance(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log(1 + d) / d, without a division 0 / 0 near d = 0."""
    safe = np.where(np.abs(distance) < 1e-9, 1e-9, distance)
    return np.asarray(np.log1p(safe) / safe)


_DOMAIN = (_LEAST_MANTISSA - 1, 2 * _LEAST_MANTISSA - 1)
_FIT = Chebyshev.interpolate(_log_over_distance, 7, _DOMAIN).convert(kind=Polynomial, domain=(-1, 1)).coef
_C0, _C1, _C2, _C3, _C4, _C5, _C6, _C7 = (np.float32(coefficient) for coefficient in _FIT)
"""Coefficients of log(mantissa) = d (c0 + c1 d + ...), where d = mantissa - 1."""


@compiled_fast
def fill_sky_units(
    images: _Images, margin: int, level: _Numbers, sigma: _Numbers, limit: float, out: NDArray[np.float32]
) -> None:
    """Write `(image - level) / sigma` of the middle, clipped to +-limit; 0 where the image is exactly 0."""
    n_y, n_x = out.shape[1:]
    for i in range(len(images)):
        per_sigma = 1 / sigma[i]
        for y in range(n_y):
            row = images[i, y + margin, margin : margin + n_x]
            for x in range(n_x):
                value = _within((row[x] - level[i]) * per_sigma, -limit, limit)
                out[i, y, x] = np.float32(0) if row[x] == 0 else np.float32(value)


@compiled_fast
def write_arcsinh(units: _Images, margin: int, factor: _Numbers, low: float, high: float, out: _Inputs, channel: int) -> None:
    """Write `arcsinh(factor * units)` of the middle, clipped to low-high, with one factor per image."""
    n_y, n_x = out.shape[2:]
    least, most = np.float32(low), np.float32(high)
    for i in range(len(units)):
        times = np.float32(factor[i])
        for y in range(n_y):
            row = units[i, y + margin, margin : margin + n_x]
            for x in range(n_x):
                out[i, channel, y, x] = _within(arcsinh(np.float32(row[x] * times)), least, most)


@compiled_fast
def write_detail(
    units: _Images,
    margin: int,
    smooth: _Images,
    shot_noise_sigma: float,
    low: float,
    high: float,
    out: _Inputs,
    channel: int,
) -> None:
    """Write `arcsinh((units - smooth) / (2 noise))` clipped to low-high; `noise**2 = 1 + max(smooth, 0) / shot_noise_sigma`.

    `smooth` is the middle of the blurred units, `[batch, y, x]` as one channel.
    """
    n_y, n_x = out.shape[2:]
    least, most = np.float32(low), np.float32(high)
    zero, one, half, per_shot = np.float32(0), np.float32(1), np.float32(0.5), np.float32(1 / shot_noise_sigma)
    for i in range(len(units)):
        for y in range(n_y):
            row = units[i, y + margin, margin : margin + n_x]
            for x in range(n_x):
                light = max(smooth[i, y, x], zero)
                value = half * (row[x] - smooth[i, y, x]) / np.float32(math.sqrt(one + light * per_shot))
                out[i, channel, y, x] = _within(arcsinh(np.float32(value)), least, most)


@compiled_fast
def brightest(units: _Images, margin: int, rank: int) -> _Numbers:
    """Return `[batch]`: the pixel of that rank, from the brightest on, of each image without a margin."""
    n_y, n_x = units.shape[1:]
    values = np.empty(len(units))
    highest = np.empty(rank, np.float64)
    for i in range(len(units)):
        highest[:] = -np.inf
        for y in range(margin, n_y - margin):
            for x in range(margin, n_x - margin):
                if units[i, y, x] > highest[0]:
                    _put(np.float64(units[i, y, x]), highest)
        values[i] = highest[0]
    return values


@compiled_fast
def _put(value: float, highest: _Numbers) -> None:
    """Insert a value into ascending values, and drop the lowest."""
    rank = 0
    while rank + 1 < len(highest) and highest[rank + 1] < value:
        highest[rank] = highest[rank + 1]
        rank += 1
    highest[rank] = value


@compiled_fast
def _within(value: _Number, low: _Number, high: _Number) -> _Number:
    """Clip a value. The value comes first in `max` and `min`, so that NaN stays: comparisons with NaN are false."""
    return min(max(value, low), high)


@compiled_fast
def arcsinh(x: np.float32) -> np.float32:
    """Return arcsinh within 6e-7, or 2e-7 of its value, up to 1e18; NaN stays NaN.

    The code uses only arithmetic, which compilers vectorise: log(|x| + sqrt(x**2 + 1)) from exponent and mantissa. On stamps it
    takes a thirtieth of the time of numba's arcsinh and of torch's, and less than half of that of numpy's.
    """
    # The simulator's `_log2` also splits a float: loops of different files share no code, and their polynomials differ.
    size = np.float32(abs(x))
    argument = np.float32(size + np.sqrt(size * size + _ONE))
    bits = np.int32(argument.view(np.int32) - _LEAST_BITS)
    exponent = np.float32(bits >> _EXPONENT_SHIFT)
    mantissa_bits = np.int32((bits & _MANTISSA_BITS) + _LEAST_BITS)
    d = np.float32(mantissa_bits.view(np.float32) - _ONE)
    log = exponent * _LOG_2 + d * (_C0 + d * (_C1 + d * (_C2 + d * (_C3 + d * (_C4 + d * (_C5 + d * (_C6 + d * _C7)))))))
    return x if x != x else np.float32(np.copysign(log, x))  # noqa: PLR0124
