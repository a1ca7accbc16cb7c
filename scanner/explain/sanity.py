"""Sanity checks of maps, against the truth of the objects and against the networks that the maps come from."""

from collections.abc import Callable
from copy import deepcopy

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation
from scipy.stats import rankdata
from torch import nn

from scanner.networks.parameters import he_initialise
from scanner.preprocess.network_inputs import Inputs

Maps = NDArray[np.floating]
"""`[batch, y, x]`: relevance for "lens"; larger values are more relevant."""
Truth = NDArray[np.bool_]
"""`[batch, y, x]`: pixels that hold lensed light."""
Scores = Callable[[Inputs], NDArray[np.floating]]
"""Function from inputs to `[batch]`, such as the log-odds of a lens."""


def hits(maps: Maps, truth: Truth, slack_pixels: int = 0) -> NDArray[np.bool_]:
    """Return, `[batch]`, whether the peak is within `slack_pixels` of the arc: the pointing game (Zhang et al. 2018).

    A constant map, which has no highest pixel, misses.
    """
    near = grown(truth, slack_pixels)
    highest = maps.reshape(len(maps), -1).argmax(axis=1)
    return near.reshape(len(maps), -1)[np.arange(len(maps)), highest] & ~is_empty(maps)


def is_empty(maps: Maps) -> NDArray[np.bool_]:
    """Return, `[batch]`, whether the map is constant."""
    return np.ptp(maps.reshape(len(maps), -1), axis=1) == 0


def hits_of_middle(truth: Truth, slack_pixels: int = 0) -> NDArray[np.bool_]:
    """Return, `[batch]`, whether a map hits that always peaks in the middle of the stamp."""
    at = truth.shape[-1] // 2
    return grown(truth, slack_pixels)[:, at, at]


def chance(truth: Truth, slack_pixels: int = 0) -> NDArray[np.float64]:
    """Return, `[batch]`, the probability that a random pixel is a hit."""
    return grown(truth, slack_pixels).mean(axis=(1, 2))


def grown(truth: Truth, n_pixels: int) -> Truth:
    """Add all pixels that are at most `n_pixels` steps away, diagonal ones included."""
    if n_pixels == 0:
        return truth
    return np.array([binary_dilation(mask, np.ones((3, 3)), n_pixels) for mask in truth])


def relevance_mass(maps: Maps, truth: Truth) -> NDArray[np.float64]:
    """Return, `[batch]`, the share of the positive relevance that lies on the arc (Arras et al. 2022); 0 without any."""
    positive = np.maximum(maps, 0)
    inside, everywhere = (np.where(mask, positive, 0).sum(axis=(1, 2)) for mask in (truth, True))
    return np.asarray(inside / np.maximum(everywhere, 1e-30), np.float64)


def rank_correlation(maps: Maps, others: Maps) -> NDArray[np.float64]:
    """Return Spearman's rank correlation of the pixels of two maps, `[batch]`; 0 where one of them is constant."""
    ranks = [rankdata(values.reshape(len(values), -1), axis=1) for values in (maps, others)]
    centred = [values - values.mean(axis=1, keepdims=True) for values in ranks]
    norms = [np.sqrt((values**2).sum(axis=1)) for values in centred]
    return np.asarray((centred[0] * centred[1]).sum(axis=1) / np.maximum(norms[0] * norms[1], 1e-30), np.float64)


def randomised(network: nn.Sequential, seed: int) -> nn.Sequential:
    """Return a copy with untrained weights: a map that does not change with them shows the image, not the network."""
    copy = deepcopy(network)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        he_initialise(copy)
    for module in copy.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
    return copy.eval()


def deletion(scores: Scores, inputs: Inputs, maps: Maps, n_steps: int = 20) -> NDArray[np.float64]:
    """Return scores, `[batch, step + 1]`, while pixels are hidden, the most relevant first, 0 to all (Petsiuk et al. 2018)."""
    return _curve(scores, inputs, maps, n_steps, starts_hidden=False)


def insertion(scores: Scores, inputs: Inputs, maps: Maps, n_steps: int = 20) -> NDArray[np.float64]:
    """Return scores, `[batch, step + 1]`, while pixels are shown, the most relevant first, 0 to all."""
    return _curve(scores, inputs, maps, n_steps, starts_hidden=True)


def _curve(scores: Scores, inputs: Inputs, maps: Maps, n_steps: int, *, starts_hidden: bool) -> NDArray[np.float64]:
    n, n_pixels = len(maps), maps[0].size
    # Rank of each pixel in the order of falling relevance.
    rank = np.empty((n, n_pixels), np.int64)
    np.put_along_axis(rank, np.argsort(-maps.reshape(n, -1), axis=1, kind="stable"), np.arange(n_pixels)[None], axis=1)
    rank = rank.reshape(maps.shape)
    curve = []
    for step in range(n_steps + 1):
        is_first = rank < round(n_pixels * step / n_steps)
        is_shown = is_first if starts_hidden else ~is_first
        curve.append(scores(np.where(is_shown[:, None], inputs, np.float32(0))))
    return np.stack(curve, axis=1)
