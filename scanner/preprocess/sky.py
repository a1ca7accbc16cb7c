"""Measures level and scatter of the sky under an object, for a whole batch of stamps at once."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from infra.numba_loops import compiled_exactly
from scanner.preprocess.sorted_pixels import sorted_pixels

_STEP = 2
"""Step of the sampled pixels along each axis: neighbouring pixels of mosaics add little information."""
_MODE_FRACTION = 1 / 3
"""Fraction of the pixels whose densest interval gives the mode, a first estimate of the sky level."""
_MODE_HALF_WIDTH = float(ndtri(0.5 + _MODE_FRACTION / 2))
"""Half width of that interval for Gaussian noise, in sigma."""
_CLIP_SIGMA = 2.5
_CLIPPED_RMS = 0.953803
"""Approximate root mean square of a standard normal variable within +-2.5; the exact value is 0.954597.

The shipped networks were trained with this value, so it must not change.
"""
_LEVEL_CLIP_SIGMA = 1.5
_N_ITERATIONS = 4
_MIN_USED_FRACTION = 0.1
"""Smallest fraction of pixels that are not exactly zero; with fewer, zeros count as sky instead of masked pixels."""
MIN_SIGMA = 1e-30
_FEW = 8
"""Number of terms that are summed one after the other."""
_MANY = 64
"""Number of differences that are compared at once."""

_Pixels = NDArray[np.floating[Any]]
"""Pixels of images, `[..., pixel]`."""
LevelAndSigma = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Sky level and standard deviation of images, `[batch]` each."""


def sky_level_and_sigma(images: NDArray[np.floating[Any]]) -> LevelAndSigma:
    """Return sky level and standard deviation of each image of `[batch, y, x]`, in its own units; `[batch]` each.

    The mode of the pixels is the first estimate; clipped moments about it refine it. The scatter uses only pixels below the
    level, because light of objects lies above. Exact zeros are masked pixels of mosaics, not sky. The sigma is never zero.
    """
    # Sort once: every clipped range is then a slice.
    ordered = sorted_pixels(images, _STEP)
    level, sigma = np.empty(len(ordered)), np.empty(len(ordered))
    _level_and_sigma(ordered, level, sigma)
    return level, sigma


@compiled_exactly
def _level_and_sigma(ordered: _Pixels, level: NDArray[np.float64], sigma: NDArray[np.float64]) -> None:
    terms = np.empty(ordered.shape[1])
    for i in range(len(ordered)):
        values = _without_masked(ordered[i])
        level[i], sigma[i] = _clipped(values, *_mode(values, terms), terms)


@compiled_exactly
def _without_masked(values: _Pixels) -> _Pixels:
    """Return sorted values without exact zeros, compacted in place."""
    end = start = _first_from(values, 0.0, 0.0)
    while end < len(values) and values[end] == 0:
        end += 1
    n_zero = end - start
    if n_zero == 0 or len(values) - n_zero < _MIN_USED_FRACTION * len(values):
        return values
    for j in range(end, len(values)):
        values[j - n_zero] = values[j]
    return values[: len(values) - n_zero]


@compiled_exactly
def _mode(values: _Pixels, terms: NDArray[np.float64]) -> tuple[float, float]:
    """Return the middle of the densest interval of sorted values, and the sigma that corresponds to its width."""
    n_inside = min(max(int(len(values) * _MODE_FRACTION), 1), len(values) - 1)
    lows, highs = values[: len(values) - n_inside], values[n_inside:]
    start = _first_of_width(_least_width(lows, highs, terms), lows, highs)
    low, high = np.float64(lows[start]), np.float64(highs[start])
    return (low + high) / 2, max((high - low) / (2 * _MODE_HALF_WIDTH), MIN_SIGMA)


@compiled_exactly
def _clipped(values: _Pixels, level: float, sigma: float, terms: NDArray[np.float64]) -> tuple[float, float]:
    """Return clipped level and sigma of sorted values, starting from a first estimate."""
    for _ in range(_N_ITERATIONS):
        below = values[_first_from(values, level, -_CLIP_SIGMA * sigma) : _first_from(values, level, 0.0)]
        scatter = math.sqrt(_sum_of_squares(level, below, terms) / max(len(below), 1)) / _CLIPPED_RMS
        reach = _LEVEL_CLIP_SIGMA * sigma
        near = values[_first_from(values, level, -reach) : _first_from(values, level, reach)]
        level += _sum_above(level, near, terms) / max(len(near), 1)
        if scatter > 0:
            sigma = scatter
    return level, sigma


@compiled_exactly
def _sum_above(level: float, values: _Pixels, terms: NDArray[np.float64]) -> float:
    """Return the sum of `values - level`, in the order of `_total`."""
    half = _half(len(values))
    low, high = values[: len(values) - half], values[half:]
    for j in range(len(low)):
        terms[j] = (low[j] - level) + (high[j] - level)
    for j in range(len(low), half):
        terms[j] = values[j] - level
    return _total(terms, half)


@compiled_exactly
def _sum_of_squares(level: float, values: _Pixels, terms: NDArray[np.float64]) -> float:
    """Return the sum of `(values - level) ** 2`, in the order of `_total`."""
    half = _half(len(values))
    low, high = values[: len(values) - half], values[half:]
    for j in range(len(low)):
        terms[j] = (low[j] - level) ** 2 + (high[j] - level) ** 2
    for j in range(len(low), half):
        terms[j] = (values[j] - level) ** 2
    return _total(terms, half)


@compiled_exactly
def _half(n: int) -> int:
    """Return how many terms are left once the halves of `n` terms are added to each other; all of few terms."""
    return (n + 1) // 2 if n > _FEW else n


@compiled_exactly
def _total(terms: NDArray[np.float64], n: int) -> float:
    """Return the sum of the first `n` terms, which are overwritten.

    The halves are added to each other until few terms are left: an order in which the compiler can use vector instructions.
    """
    while n > _FEW:
        half = (n + 1) // 2
        low, high = terms[: n - half], terms[half:n]
        for j in range(len(low)):
            low[j] += high[j]
        n = half
    total = 0.0
    for j in range(n):
        total += terms[j]
    return total


@compiled_exactly
def _least_width(lows: _Pixels, highs: _Pixels, terms: NDArray[np.float64]) -> float:
    """Return the least of the differences `highs - lows`."""
    half = _half(len(lows))
    for j in range(len(lows) - half):
        width = np.float64(highs[j]) - np.float64(lows[j])
        terms[j] = min(width, np.float64(highs[half + j]) - np.float64(lows[half + j]))
    for j in range(len(lows) - half, half):
        terms[j] = np.float64(highs[j]) - np.float64(lows[j])
    return _least(terms, half)


@compiled_exactly
def _first_of_width(width: float, lows: _Pixels, highs: _Pixels) -> int:
    """Return the first index at which `highs - lows` is `width`; the last index if none is."""
    start, last = 0, len(lows) - 1
    # A loop without an exit uses vector instructions.
    while start + _MANY <= last:
        n_equal = 0
        for j in range(start, start + _MANY):
            n_equal += np.float64(highs[j]) - np.float64(lows[j]) == width
        if n_equal:
            break
        start += _MANY
    while start < last and np.float64(highs[start]) - np.float64(lows[start]) != width:
        start += 1
    return start


@compiled_exactly
def _least(terms: NDArray[np.float64], n: int) -> float:
    """Return the least of the first `n` terms, which are overwritten, in the same order; NaN at their end is left out."""
    while n > _FEW:
        half = (n + 1) // 2
        low, high = terms[: n - half], terms[half:n]
        for j in range(len(low)):
            low[j] = min(low[j], high[j])
        n = half
    least = np.inf
    for j in range(n):
        least = min(least, terms[j])
    return least


@compiled_exactly
def _first_from(values: _Pixels, level: float, offset: float) -> int:
    """Return the index of the first of sorted values that is `offset` or more above a level."""
    low, high = 0, len(values)
    while low < high:
        middle = (low + high) // 2
        if values[middle] - level < offset:
            low = middle + 1
        else:
            high = middle
    return low
