"""Grad-CAM (Selvaraju et al. 2017) and Guided Grad-CAM (with Springenberg et al. 2014) of many images, through captum."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from captum.attr import GuidedBackprop, LayerGradCam  # type: ignore[import-untyped]
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from infra.quiet import without_warnings
from scanner.networks.compact import CentreCrop
from scanner.networks.plain import plain_network
from scanner.pixels.inputs import Inputs

MAX_KERNEL = 5
"""Pixels a side, of the architectures' convolutions that see a part of a map only."""


@dataclass(frozen=True)
class GradCamMaps:
    """What made a network say "lens", at each pixel of its input."""

    cam: NDArray[np.float32]
    """`[batch, y, x]`: where the last feature maps speak for a lens; never negative, in units of the output."""
    guided: NDArray[np.float32]
    """`[batch, channel, y, x]`: that times the guided gradient: which pixels of which channel raise the output."""


class LensLogOdds(nn.Module):
    """`[batch]`: log odds of any kind of lens against none.

    What a softmax makes of the outputs: with the lens outputs alone, evidence against "nonlens" would not count, and of the
    flagship's maps a fifth fewer peak on the arc.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network(x)
        return logits[:, 1:].logsumexp(1) - logits[:, 0]


class LensOutput(nn.Module):
    """`[batch]`: the output of a two-class network for "lens" alone, whose gradient the paper takes (section 5.6)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network(x)
        return logits[:, 1]


class GradCamMapper:
    """One network, ready to be asked about many images. Not for several threads at once: captum hooks into the network."""

    def __init__(self, network: nn.Sequential, output: type[LensLogOdds | LensOutput] = LensLogOdds) -> None:
        """`network`: as its architecture builds it; it is left as it is.

        Raises:
            ValueError: it has other non-linear layers than `nn.ReLU`: captum would guide no gradient and not say so.
        """
        layers = list(plain_network(network))
        self._crop = layers.pop(0) if isinstance(layers[0], CentreCrop) else None
        if not any(isinstance(layer, nn.ReLU) for layer in layers):
            raise ValueError("guided gradients need a network whose non-linear layers are nn.ReLU modules")
        # Twice as fast on processors; without gradients of the weights, which nobody asks for.
        model = output(nn.Sequential(*layers)).requires_grad_(requires_grad=False)
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._cam = LayerGradCam(model, _last_feature_maps(layers))
        self._guided = GuidedBackprop(model)

    def maps(self, inputs: Inputs) -> GradCamMaps:
        """Of each image on its own: what else is in the batch changes nothing.

        Args:
            inputs: `[batch, channel, y, x]`, as the network reads them.
        """
        whole = torch.from_numpy(inputs)
        seen = (whole if self._crop is None else self._crop(whole)).contiguous(memory_format=torch.channels_last)
        margin = (whole.shape[-1] - seen.shape[-1]) // 2
        with without_warnings():
            # That it sets hooks, and that it wants gradients.
            coarse = self._cam.attribute(seen, relu_attributions=True).detach()
            gradient = self._guided.attribute(seen.clone()).detach()
        cam = functional.interpolate(coarse, seen.shape[-2:], mode="bilinear")

        def framed(values: Tensor) -> NDArray[np.float32]:
            return np.asarray(functional.pad(values, (margin,) * 4).numpy(), np.float32)

        return GradCamMaps(framed(cam)[:, 0], framed(cam * gradient))


def _last_feature_maps(layers: list[nn.Module]) -> nn.Module:
    """The ReLU after the last convolution whose kernel is small: one as large as the map leaves no place to tell."""
    after = [
        relu
        for convolution, relu in pairwise(layers)
        if isinstance(convolution, nn.Conv2d) and isinstance(relu, nn.ReLU) and convolution.kernel_size[0] <= MAX_KERNEL
    ]
    return after[-1]
