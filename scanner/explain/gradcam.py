"""Grad-CAM (Selvaraju et al. 2017) and Guided Grad-CAM (with Springenberg et al. 2014) of many images, through captum."""

import warnings
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from scanner.networks.compact import CentreCrop, MeanOverOrientations
from scanner.networks.plain import plain_network
from scanner.preprocess.network_inputs import Inputs

_KNOWN = (nn.Conv2d, nn.ReLU, nn.MaxPool2d, nn.Flatten, nn.Linear, MeanOverOrientations)
MAX_KERNEL = 5
"""Pixels a side, of the architectures' convolutions that see a part of a map only."""

# It says at each call that it sets hooks for a while.
warnings.filterwarnings("ignore", "Setting backward hooks on ReLU activations", UserWarning, "captum")


@dataclass(frozen=True)
class GradCamMaps:
    """What made a network say "lens", stretched over its input as captum and the paper do.

    The last feature maps of the paper's networks, whose convolutions have no padding, look at the middle of the image only:
    stretched over all of it, a cell at the edge lies up to 5 arcsec farther out than what it saw. Those of the flagship lie
    where they should.
    """

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
            ValueError: it has other layers than the architectures have: captum would guide no gradient through another
                non-linear layer than `nn.ReLU`, and not say so.
        """
        layers = list(plain_network(network))
        self._crop = layers.pop(0) if isinstance(layers[0], CentreCrop) else None
        if strange := [layer for layer in layers if not isinstance(layer, _KNOWN)]:
            raise ValueError(f"guided gradients need a network whose non-linear layers are nn.ReLU modules, got {strange[0]}")
        # Twice as fast on processors; without gradients of the weights, which nobody asks for.
        model = output(nn.Sequential(*layers)).requires_grad_(requires_grad=False)
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        # Late: captum imports matplotlib, which takes half a second that scans without maps can save.
        from captum.attr import GuidedBackprop, LayerGradCam  # type: ignore[import-untyped]

        self._cam = LayerGradCam(model, _last_feature_maps(layers))
        self._guided = GuidedBackprop(model)

    def maps(self, inputs: Inputs) -> GradCamMaps:
        """Of each image on its own: what else is in the batch changes nothing.

        Args:
            inputs: `[batch, channel, y, x]`, as the network reads them.
        """
        with torch.inference_mode(mode=False):
            return self._maps(torch.from_numpy(inputs))

    def _maps(self, whole: Tensor) -> GradCamMaps:
        seen = (whole if self._crop is None else self._crop(whole)).contiguous(memory_format=torch.channels_last)
        margin = (whole.shape[-1] - seen.shape[-1]) // 2
        coarse = self._cam.attribute(seen, relu_attributions=True).detach()
        gradient = self._guided.attribute(seen.clone().requires_grad_()).detach()
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
