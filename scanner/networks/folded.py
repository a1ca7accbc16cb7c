"""Fold a trained network into the fewest and plainest layers, so that engines do not repeat constant work for each batch."""

from copy import deepcopy

import torch
from torch import nn

from scanner.networks.small_networks import GroupConv, LiftingConv

Convolution = nn.Conv2d | LiftingConv | GroupConv


def folded_network(network: nn.Sequential) -> nn.Sequential:
    """Return the same function in float32, without dropout, each convolution and its normalisation as one `nn.Conv2d`.

    Kernels are turned and scaled once, here, in float64; `network` is not changed.

    Raises:
        ValueError: a convolution has another stride than one pixel, is dilated, or has several groups.
    """
    layers = [layer for layer in deepcopy(network).double().eval() if not isinstance(layer, nn.Dropout)]
    folded: list[nn.Module] = []
    while layers:
        layer = layers.pop(0)
        if isinstance(layer, Convolution):
            _check(layer)
            linear: list[nn.Module] = [layer]
            while layers and isinstance(layers[0], nn.BatchNorm2d):
                linear.append(layers.pop(0))
            n_in, side = layer.weight.shape[1], layer.weight.shape[-1]
            folded.append(_as_one_convolution(nn.Sequential(*linear), n_in, side))
        else:
            folded.append(layer)
    return nn.Sequential(*folded).float().eval()


def _check(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d) and (layer.stride, layer.dilation, layer.groups) != ((1, 1), (1, 1), 1):
        raise ValueError(f"convolutions must have a stride of 1, a dilation of 1 and one group, got {layer}")


@torch.no_grad()
def _as_one_convolution(layers: nn.Module, n_in: int, side: int) -> nn.Conv2d:
    """Fold affine layers that commute with shifts: their response to zeros is the bias, to one bright pixel the kernel."""
    zeros = torch.zeros(1, n_in, side, side, dtype=torch.float64)
    bias = layers(zeros)[0, :, 0, 0]
    impulses = torch.zeros(n_in, n_in, 2 * side - 1, 2 * side - 1, dtype=torch.float64)
    impulses[range(n_in), range(n_in), side - 1, side - 1] = 1
    responses = layers(impulses) - bias[:, None, None]
    # `[n_in, n_out, y, x]`, as wide as the kernel and its padding, and mirrored: torch's convolutions are correlations.
    padding = (responses.shape[-1] - side) // 2
    inside = slice(padding, padding + side)
    kernel = responses[..., inside, inside].flip(-2, -1).transpose(0, 1)
    convolution = nn.Conv2d(n_in, len(bias), side, padding=padding, dtype=torch.float64)
    convolution.weight.copy_(kernel)
    convolution.bias.copy_(bias)  # type: ignore[union-attr]
    return convolution
