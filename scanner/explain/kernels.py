"""Responses of the kernels of a network to images (Wilde et al. 2022, section 5.2)."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from scanner.networks.small_networks import GroupConv, LiftingConv
from scanner.preprocess.network_inputs import Inputs

_CONVOLUTIONS = (nn.Conv2d, LiftingConv, GroupConv)


@dataclass(frozen=True)
class KernelLayer:
    """A convolution of a network."""

    name: str
    """Name in the network; for the paper's networks, the layer number in its tables 3 and 4."""
    n_layers: int
    """Number of layers up to its output before ReLU, including a normalisation."""


def kernel_layers(network: nn.Sequential) -> list[KernelLayer]:
    """Return the convolutions, first to last."""
    children = list(network.named_children())
    layers = []
    for i, (name, layer) in enumerate(children):
        if isinstance(layer, _CONVOLUTIONS):
            has_norm = i + 1 < len(children) and isinstance(children[i + 1][1], nn.BatchNorm2d)
            layers.append(KernelLayer(name, i + 1 + has_norm))
    return layers


def kernel_activations(network: nn.Sequential, inputs: Inputs) -> dict[str, NDArray[np.float32]]:
    """Return, by layer name, `[batch, kernel]`: the mean of each feature map before ReLU, the kernel activation value.

    In the equivariant network, a kernel in its four orientations gives four maps: `4 * kernel + orientation`.

    Args:
        network: A network in eval mode.
        inputs: `[batch, channel, y, x]`.
    """
    wanted = {layer.n_layers: layer.name for layer in kernel_layers(network)}
    activations = {}
    with torch.inference_mode():
        maps = torch.from_numpy(inputs)
        for i, layer in enumerate(network):
            maps = layer(maps)
            if i + 1 in wanted:
                activations[wanted[i + 1]] = np.asarray(maps.mean(dim=(-2, -1)).numpy())
    return activations


@dataclass(frozen=True)
class MostActivating:
    """The image that activates each kernel of a layer most; arrays are `[kernel]`."""

    indices: NDArray[np.int64]
    """Index of the image among all images, from 0."""
    values: NDArray[np.float32]


def most_activating(network: nn.Sequential, batches: Iterable[Inputs]) -> dict[str, MostActivating]:
    """Return, by layer name, the best of many images, one batch in memory at a time; the first wins a tie."""
    best: dict[str, MostActivating] = {}
    n_before = 0
    for inputs in batches:
        for name, values in kernel_activations(network, inputs).items():
            highest = values.argmax(axis=0)
            of_batch = MostActivating(n_before + highest, values[highest, np.arange(len(highest))])
            best[name] = _better(best[name], of_batch) if name in best else of_batch
        n_before += len(inputs)
    return best


def _better(first: MostActivating, second: MostActivating) -> MostActivating:
    is_second = second.values > first.values
    return MostActivating(np.where(is_second, second.indices, first.indices), np.where(is_second, second.values, first.values))


def first_kernels(network: nn.Sequential) -> NDArray[np.float32]:
    """Return the weights of the first convolution in their first orientation, `[kernel, channel, y, x]`."""
    layer = next(layer for layer in network if isinstance(layer, _CONVOLUTIONS))
    return np.array(layer.weight.detach().numpy())
