"""Attribution maps of one network by each method, all with the same sign: higher values support a lens more."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import nn

from scanner.explain.explanation import stamp_side_arcsec
from scanner.explain.gradcam import GradCamMapper
from scanner.explain.occlusion import MASKS, Masks, OcclusionMapper
from scanner.explain.sanity import Maps, Truth
from scanner.networks.log_odds import lens_log_odds
from scanner.networks.network_card import NetworkCard
from scanner.preprocess.network_inputs import Inputs
from scanner.preprocess.resample import area_operator, regrid
from training.evaluation.map_measures import Method

_AT_ONCE = 16
"""Number of images whose gradients are held in memory together."""
_PSF_ARCSEC = 0.2
MIDDLE_ARCSEC = 8.0
"""Side of the square in which maps are compared: a border that networks ignore, or of sky alone, is alike in all maps."""
_COMMON_CELLS = 20


@dataclass(frozen=True)
class Cells:
    """Cells of a method's maps: squares of the network's input."""

    masks: Masks
    slack: int
    """Number of cells beside the arc that still count as a hit."""

    def covering(self, truth: Truth) -> Truth:
        """Convert arc masks `[batch, y, x]` from input pixels to cells: those that cover any part of the arc."""
        starts, pixels = self.masks.starts(truth.shape[-1])[:, None], np.arange(truth.shape[-1])
        covers = ((starts <= pixels) & (pixels < starts + self.masks.side_pixels)).astype(np.float32)
        return np.asarray(covers @ truth.astype(np.float32) @ covers.T > 0)

    def at_pixels(self, maps: Maps, n_pixels: int) -> Maps:
        """Convert cells to input pixels `[batch, y, x]`, each from the mask around the pixel, edges from the nearest mask."""
        first = (self.masks.side_pixels - self.masks.step_pixels) // 2
        cell = np.clip((np.arange(n_pixels) - first) // self.masks.step_pixels, 0, maps.shape[-1] - 1)
        return maps[:, cell[:, None], cell]


def cells_of(method: Method, card: NetworkCard) -> Cells:
    """Return the cells of a method: masks for occlusion; pixels for the Grad-CAMs, with a slack of one VIS PSF at the arc."""
    if method == "occlusion":
        return Cells(MASKS[card.architecture], 0)
    return Cells(Masks(1, 1), round(_PSF_ARCSEC * card.input_pixels / stamp_side_arcsec(card)))


def maps_of(network: nn.Sequential, card: NetworkCard, inputs: Inputs, n_occluded: int) -> Mapping[Method, Maps]:
    """Return maps `[batch, y, x]` of cells for each method.

    Args:
        network: Network in eval mode.
        card: Card of the network.
        inputs: `[batch, channel, y, x]`.
        n_occluded: Number of objects, the first ones, that get occlusion maps, which take long.
    """
    grad, occlusion = GradCamMapper(network), OcclusionMapper(network, MASKS[card.architecture])
    grad_maps = [grad.maps(inputs[i : i + _AT_ONCE]) for i in range(0, len(inputs), _AT_ONCE)]
    few = inputs[:n_occluded]
    return {
        "guided_grad_cam": np.concatenate([np.maximum(maps.guided, 0).sum(axis=1) for maps in grad_maps]),
        "grad_cam": np.concatenate([maps.cam for maps in grad_maps]),
        "occlusion": lens_log_odds(occlusion.whole_logits(few))[:, None, None] - lens_log_odds(occlusion.logits(few)),
    }


def others(maps: Maps) -> Maps:
    """Return maps `[batch, y, x]` in which each object has the map of the object before."""
    return np.roll(maps, 1, axis=0)


def middle(maps: Maps, card: NetworkCard) -> Maps:
    """Return the cells of maps `[batch, y, x]` in the middle 8 arcsec."""
    n = maps.shape[-1]
    margin = round(n * (1 - MIDDLE_ARCSEC / stamp_side_arcsec(card)) / 2)
    return maps[:, margin : n - margin, margin : n - margin]


def on_common_grid(maps: Maps, method: Method, card: NetworkCard) -> Maps:
    """Resample maps to `[batch, 20, 20]` over the middle 8 arcsec, to compare networks that read different pixels."""
    n_pixels = card.input_pixels
    operator = area_operator(n_pixels, stamp_side_arcsec(card) / n_pixels, _COMMON_CELLS, MIDDLE_ARCSEC / _COMMON_CELLS)
    return regrid(cells_of(method, card).at_pixels(maps, n_pixels), operator)
