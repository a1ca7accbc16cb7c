"""Grad-CAM (Selvaraju et al. 2017) and Guided Grad-CAM (with Springenberg et al. 2014) of many images, through captum."""

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from scanner.networks.folded import folded_network
from scanner.networks.log_odds_layer import LensLogOdds
from scanner.networks.small_networks import CentreCrop, MeanOverOrientations
from scanner.preprocess.network_inputs import Inputs

_KNOWN = (nn.Conv2d, nn.ReLU, nn.MaxPool2d, nn.Flatten, nn.Linear, MeanOverOrientations)
MAX_KERNEL = 5
"""Largest side, in pixels, of the architectures' convolutions that see only a part of a map, but for those before a mean."""

# captum warns at each call that it sets hooks temporarily.
warnings.filterwarnings("ignore", "Setting backward hooks on ReLU activations", UserWarning, "captum")


@dataclass(frozen=True)
class GradCamMaps:
    """Evidence of a network for "lens", stretched over the network's input as captum and the paper do.

    The last feature maps of the paper's networks, whose convolutions have no padding, see only the middle of the image:
    stretched over the whole image, a cell at the edge lies up to 5 arcsec farther out than the pixels that it saw. The cells of
    the flagship lie in the right places.
    """

    cam: NDArray[np.float32]
    """`[batch, y, x]`: evidence for a lens in the last feature maps; never negative, in units of the output."""
    guided: NDArray[np.float32]
    """`[batch, channel, y, x]`: `cam` times the guided gradient: the pixels of each channel that raise the output."""


class GradCamMapper:
    """Grad-CAM of many images for one network. One thread at a time may use it: captum hooks into the network."""

    def __init__(self, network: nn.Sequential) -> None:
        """Take a network as its architecture builds it; it is not changed.

        Raises:
            ValueError: the network has other layers than the architectures have: captum would guide no gradient through a
                non-linear layer other than `nn.ReLU`, without a warning.
        """
        layers = list(folded_network(network))
        self._crop = layers.pop(0) if isinstance(layers[0], CentreCrop) else None
        if strange := [layer for layer in layers if not isinstance(layer, _KNOWN)]:
            raise ValueError(f"guided gradients need a network whose non-linear layers are nn.ReLU modules, got {strange[0]}")
        # `channels_last` is twice as fast on CPUs; gradients of the weights are not needed.
        model = nn.Sequential(*layers, LensLogOdds()).requires_grad_(requires_grad=False)
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        # Imported late: captum imports matplotlib, which takes half a second that scans without maps can save.
        from captum.attr import GuidedBackprop, LayerGradCam  # type: ignore[import-untyped]

        self._cam = LayerGradCam(model, _last_feature_maps(layers))
        self._guided = GuidedBackprop(model)

    def maps(self, inputs: Inputs) -> GradCamMaps:
        """Return the maps of each image, independent of the rest of the batch.

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
    """Return the ReLU after the last convolution that keeps positions: a kernel as large as the map keeps none."""
    after = [
        relu
        for convolution, relu, following in zip(layers, layers[1:], [*layers[2:], None], strict=False)
        if isinstance(convolution, nn.Conv2d) and isinstance(relu, nn.ReLU) and _keeps_positions(convolution, following)
    ]
    return after[-1]


def _keeps_positions(convolution: nn.Conv2d, following: nn.Module | None) -> bool:
    return convolution.kernel_size[0] <= MAX_KERNEL and not isinstance(following, MeanOverOrientations)
