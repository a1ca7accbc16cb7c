"""Level and scatter of the sky under an object, for a whole batch of stamps at once."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

_STEP = 2
"""Every second pixel along each axis: neighbours in mosaics hardly add to what is known."""
_MODE_FRACTION = 1 / 3
"""The densest interval that holds this share of the pixels is where the sky is."""
_MODE_HALF_WIDTH = float(ndtri(0.5 + _MODE_FRACTION / 2))
"""Of that interval for Gaussian noise, in sigma."""
_CLIP_SIGMA = 2.5
_CLIPPED_RMS = 0.953803
"""Root mean square of a standard normal variable within +-2.5."""
_LEVEL_CLIP_SIGMA = 1.5
_N_ITERATIONS = 4
_MIN_USED_FRACTION = 0.1
"""Where fewer pixels than this are not exactly zero, zeros count as sky after all."""
MIN_SIGMA = 1e-30


def sky_level_and_sigma(images: NDArray[np.floating[Any]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sky level and standard deviation of each image of `[batch, y, x]`, in its own units; `[batch]` each.

    The mode of the pixels first, then clipped moments about it, the scatter from the side below the mode alone: light of
    objects lies above. Exact zeros are masked pixels of mosaics, not sky. The sigma is never zero.
    """
    sample = images[:, ::_STEP, ::_STEP].reshape(len(images), -1).astype(np.float64)
    is_used = sample != 0
    is_used[is_used.mean(axis=1) < _MIN_USED_FRACTION] = True
    level, sigma = _mode(sample, is_used)
    for _ in range(_N_ITERATIONS):
        offset = sample - level[:, None]
        near = is_used & (np.abs(offset) < _CLIP_SIGMA * sigma[:, None])
        below = _rms(offset, near & (offset < 0)) / _CLIPPED_RMS
        middle = is_used & (np.abs(offset) < _LEVEL_CLIP_SIGMA * sigma[:, None])
        level = level + np.where(middle, offset, 0).sum(axis=1) / np.maximum(middle.sum(axis=1), 1)
        sigma = np.where(below > 0, below, sigma)
    return level, sigma


def _mode(sample: NDArray[np.float64], is_used: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Middle of the densest interval of each row, and the sigma that its width stands for."""
    ordered = np.sort(np.where(is_used, sample, np.inf), axis=1)
    n_used = is_used.sum(axis=1)
    level, sigma = np.empty(len(sample)), np.empty(len(sample))
    for n in np.unique(n_used):
        rows = np.flatnonzero(n_used == n)
        values = ordered[rows, :n]
        n_inside = max(int(n * _MODE_FRACTION), 1)
        widths = values[:, n_inside:] - values[:, :-n_inside]
        start = widths.argmin(axis=1)
        at = np.arange(len(rows))
        level[rows] = (values[at, start] + values[at, start + n_inside]) / 2
        sigma[rows] = widths[at, start] / (2 * _MODE_HALF_WIDTH)
    return level, np.maximum(sigma, MIN_SIGMA)


def _rms(values: NDArray[np.float64], chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.asarray(np.sqrt(np.where(chosen, values**2, 0).sum(axis=1) / np.maximum(chosen.sum(axis=1), 1)))
