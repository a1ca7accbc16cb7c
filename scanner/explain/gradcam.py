"""Grad-CAM (Selvaraju et al. 2017) and Guided Grad-CAM (with Springenberg et al. 2014) of many images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from scanner.networks.folded import folded_network
from scanner.networks.log_odds_layer import LensLogOdds
from scanner.networks.polar_networks import LogPolar, MeanAndPeak, WrapAngles, in_pixels
from scanner.networks.small_networks import CentreCrop, MeanOverOrientations
from scanner.preprocess.network_inputs import Inputs

_KNOWN = (nn.Conv2d, nn.ReLU, nn.MaxPool2d, nn.Flatten, nn.Linear, MeanOverOrientations, LogPolar, WrapAngles, MeanAndPeak)
MAX_KERNEL = 5
"""Largest height, in pixels or radii, of the architectures' convolutions that see only a part of a map, but for those before a
mean."""


@dataclass(frozen=True)
class GradCamMaps:
    """Evidence of a network for "lens", stretched over the network's input as the paper does.

    The last feature maps of the paper's networks, whose convolutions have no padding, see only the middle of the image:
    stretched over the whole image, a cell at the edge lies up to 5 arcsec farther out than the pixels that it saw. The cells of
    the flagship lie in the right places. Maps of a polar network are turned back to pixels; they are 0 outside its disc.
    """

    cam: NDArray[np.float32]
    """`[batch, y, x]`: evidence for a lens in the last feature maps; never negative, in units of the output."""
    guided: NDArray[np.float32]
    """`[batch, channel, y, x]`: `cam` times the guided gradient: the pixels of each channel that raise the output."""


class GradCamMapper:
    """Grad-CAM of many images for one network."""

    def __init__(self, network: nn.Sequential) -> None:
        """Take a network as its architecture builds it; it is not changed.

        Raises:
            ValueError: the network has other layers than the architectures have: a gradient through a non-linear layer other
                than `nn.ReLU` would not be guided.
        """
        layers = list(folded_network(network))
        self._crop = layers.pop(0) if isinstance(layers[0], CentreCrop) else None
        if strange := [layer for layer in layers if not isinstance(layer, _KNOWN)]:
            raise ValueError(f"guided gradients need a network whose non-linear layers are nn.ReLU modules, got {strange[0]}")
        self._is_polar = isinstance(layers[0], LogPolar)
        n_first = layers.index(_last_feature_maps(layers)) + 1
        first, rest = layers[:n_first], [*layers[n_first:], LensLogOdds()]
        # `channels_last` is twice as fast on CPUs.
        nn.Sequential(*first, *rest).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._rest = nn.Sequential(*rest)
        self._guided_first, self._guided_rest = _guided(first), _guided(rest)

    def maps(self, inputs: Inputs) -> GradCamMaps:
        """Return the maps of each image, independent of the rest of the batch.

        Args:
            inputs: `[batch, channel, y, x]`, as the network reads them.
        """
        with torch.inference_mode(mode=False), torch.enable_grad():
            return self._maps(torch.from_numpy(inputs))

    def _maps(self, whole: Tensor) -> GradCamMaps:
        seen = (whole if self._crop is None else self._crop(whole)).clone(memory_format=torch.channels_last)
        margin = (whole.shape[-1] - seen.shape[-1]) // 2
        features = self._guided_first(seen.requires_grad_())
        gradient = _gradient(self._guided_rest(features), seen)
        coarse, side = self._coarse(features.detach()), seen.shape[-1]
        cam = in_pixels(coarse, side) if self._is_polar else functional.interpolate(coarse, (side, side), mode="bilinear")

        def framed(values: Tensor) -> NDArray[np.float32]:
            return np.asarray(functional.pad(values, (margin,) * 4).numpy(), np.float32)

        return GradCamMaps(framed(cam)[:, 0], framed(cam * gradient))

    def _coarse(self, features: Tensor) -> Tensor:
        """Return the Grad-CAM `[batch, 1, y, x]` of feature maps: their sum, each weighted by its mean gradient."""
        weights = _gradient(self._rest(features.requires_grad_()), features).mean((-2, -1), keepdim=True)
        return (weights * features.detach()).sum(1, keepdim=True).relu()


class _GuidedReLU(torch.autograd.Function):
    """A ReLU whose gradient is guided: a negative gradient does not pass (Springenberg et al. 2014, section 3.4)."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        result = values.clamp_min(0)
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (result,) = ctx.saved_tensors
        return gradient.clamp_min(0) * (result > 0)


class _Guided(nn.Module):
    """A layer that stands for `nn.ReLU` where gradients are guided."""

    def forward(self, values: Tensor) -> Tensor:
        return _GuidedReLU.apply(values)


def _guided(layers: Sequence[nn.Module]) -> nn.Sequential:
    return nn.Sequential(*(_Guided() if isinstance(layer, nn.ReLU) else layer for layer in layers))


def _gradient(outputs: Tensor, inputs: Tensor) -> Tensor:
    """Return the gradient of each image's output with respect to its input."""
    (gradient,) = torch.autograd.grad(outputs.sum(), inputs)
    return gradient


def _last_feature_maps(layers: list[nn.Module]) -> nn.Module:
    """Return the ReLU after the last convolution that keeps positions: a kernel as large as the map keeps none."""
    after = [
        relu
        for convolution, relu, following in zip(layers, layers[1:], [*layers[2:], None], strict=False)
        if isinstance(convolution, nn.Conv2d) and isinstance(relu, nn.ReLU) and _keeps_positions(convolution, following)
    ]
    return after[-1]


def _keeps_positions(convolution: nn.Conv2d, following: nn.Module | None) -> bool:
    return convolution.kernel_size[0] <= MAX_KERNEL and not isinstance(following, MeanOverOrientations)
