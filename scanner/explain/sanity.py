"""Does a map mean anything? Tests of maps against what is known of the objects, and of the networks they come from."""

from collections.abc import Callable
from copy import deepcopy

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation
from scipy.stats import rankdata
from torch import nn

from scanner.networks.architectures import he_initialise
from scanner.preprocess.network_inputs import Inputs

Maps = NDArray[np.floating]
"""`[batch, y, x]`: relevance for "lens", more of it being more positive."""
Truth = NDArray[np.bool_]
"""`[batch, y, x]`: pixels that hold lensed light."""
Scores = Callable[[Inputs], NDArray[np.floating]]
"""`[batch]` of inputs, such as the log odds of a lens."""


def hits(maps: Maps, truth: Truth, slack_pixels: int = 0) -> NDArray[np.bool_]:
    """`[batch]`: does the highest pixel lie on the arc, or within so many pixels of it? The pointing game (Zhang et al. 2018).

    A map without a highest pixel, being the same everywhere, misses.
    """
    near = grown(truth, slack_pixels)
    highest = maps.reshape(len(maps), -1).argmax(axis=1)
    return near.reshape(len(maps), -1)[np.arange(len(maps)), highest] & ~is_empty(maps)


def is_empty(maps: Maps) -> NDArray[np.bool_]:
    """`[batch]`: is the map the same everywhere?"""
    return np.ptp(maps.reshape(len(maps), -1), axis=1) == 0


def hits_of_middle(truth: Truth, slack_pixels: int = 0) -> NDArray[np.bool_]:
    """`[batch]`: does a map hit whose highest pixel is in the middle of the stamp, whatever it shows?"""
    at = truth.shape[-1] // 2
    return grown(truth, slack_pixels)[:, at, at]


def chance(truth: Truth, slack_pixels: int = 0) -> NDArray[np.float64]:
    """`[batch]`: how often a pixel drawn at random is a hit."""
    return grown(truth, slack_pixels).mean(axis=(1, 2))


def grown(truth: Truth, n_pixels: int) -> Truth:
    """With all pixels that are at most so many steps away, diagonal ones included."""
    if n_pixels == 0:
        return truth
    return np.array([binary_dilation(mask, np.ones((3, 3)), n_pixels) for mask in truth])


def relevance_mass(maps: Maps, truth: Truth) -> NDArray[np.float64]:
    """`[batch]`: the share of all positive relevance that lies on the arc (Arras et al. 2022); 0 where there is none."""
    positive = np.maximum(maps, 0)
    inside, everywhere = (np.where(mask, positive, 0).sum(axis=(1, 2)) for mask in (truth, True))
    return np.asarray(inside / np.maximum(everywhere, 1e-30), np.float64)


def rank_correlation(maps: Maps, others: Maps) -> NDArray[np.float64]:
    """`[batch]`: Spearman's, of the pixels of two maps each; 0 where one is the same everywhere."""
    ranks = [rankdata(some.reshape(len(some), -1), axis=1) for some in (maps, others)]
    centred = [some - some.mean(axis=1, keepdims=True) for some in ranks]
    norms = [np.sqrt((some**2).sum(axis=1)) for some in centred]
    return np.asarray((centred[0] * centred[1]).sum(axis=1) / np.maximum(norms[0] * norms[1], 1e-30), np.float64)


def randomised(network: nn.Sequential, seed: int) -> nn.Sequential:
    """The same architecture with weights that were never trained: maps that survive this show the image, not the network."""
    copy = deepcopy(network)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        he_initialise(copy)
    for module in copy.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
    return copy.eval()


def deletion(scores: Scores, inputs: Inputs, maps: Maps, n_steps: int = 20) -> NDArray[np.float64]:
    """`[batch, step + 1]`: scores as the most relevant pixels are hidden first, from none to all (Petsiuk et al. 2018)."""
    return _curve(scores, inputs, maps, n_steps, starts_hidden=False)


def insertion(scores: Scores, inputs: Inputs, maps: Maps, n_steps: int = 20) -> NDArray[np.float64]:
    """`[batch, step + 1]`: scores as the most relevant pixels are shown first, from none to all."""
    return _curve(scores, inputs, maps, n_steps, starts_hidden=True)


def _curve(scores: Scores, inputs: Inputs, maps: Maps, n_steps: int, *, starts_hidden: bool) -> NDArray[np.float64]:
    n, n_pixels = len(maps), maps[0].size
    # Place in the order of falling relevance.
    place = np.empty((n, n_pixels), np.int64)
    np.put_along_axis(place, np.argsort(-maps.reshape(n, -1), axis=1, kind="stable"), np.arange(n_pixels)[None], axis=1)
    place = place.reshape(maps.shape)
    found = []
    for step in range(n_steps + 1):
        is_first = place < round(n_pixels * step / n_steps)
        is_shown = is_first if starts_hidden else ~is_first
        found.append(scores(np.where(is_shown[:, None], inputs, np.float32(0))))
    return np.stack(found, axis=1)
