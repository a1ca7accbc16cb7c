"""Fold a trained network into the fewest and plainest layers, so that engines do not repeat constant work for each batch."""

from collections.abc import Sequence
from copy import deepcopy
from itertools import takewhile
from typing import cast

import torch
from torch import Tensor, nn

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
            norms = list(takewhile(lambda following: isinstance(following, nn.BatchNorm2d), layers))
            del layers[: len(norms)]
            folded.append(_as_one_convolution(layer, cast("list[nn.BatchNorm2d]", norms)))
        else:
            folded.append(layer)
    return nn.Sequential(*folded).float().eval()


def _check(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d) and (layer.stride, layer.dilation, layer.groups) != ((1, 1), (1, 1), 1):
        raise ValueError(f"convolutions must have a stride of 1, a dilation of 1 and one group, got {layer}")


@torch.no_grad()
def _as_one_convolution(layer: Convolution, norms: Sequence[nn.BatchNorm2d]) -> nn.Conv2d:
    """Fold the normalisations after a convolution into its kernels and biases."""
    kernels = (layer.weight if isinstance(layer, nn.Conv2d) else layer.kernels()).clone()
    bias = getattr(layer, "bias", None)
    biases = torch.zeros(len(kernels), dtype=kernels.dtype) if bias is None else bias.clone()
    for norm in norms:
        scales, shifts = _affine(norm, len(kernels))
        kernels, biases = kernels * scales[:, None, None, None], biases * scales + shifts
    n_out, n_in, height, width = kernels.shape
    convolution = nn.Conv2d(n_in, n_out, (height, width), padding=cast("tuple[int, int]", layer.padding), dtype=kernels.dtype)
    convolution.weight.copy_(kernels)
    convolution.bias.copy_(biases)  # type: ignore[union-attr]
    return convolution


def _affine(norm: nn.BatchNorm2d, n_channels: int) -> tuple[Tensor, Tensor]:
    """Return the factor and the summand by which a trained normalisation changes each channel."""
    trained = norm.state_dict()
    scales = trained["weight"] / (trained["running_var"] + norm.eps).sqrt()
    shifts = trained["bias"] - trained["running_mean"] * scales
    # The orientations of a feature lie side by side and share its normalisation.
    n_shared = n_channels // len(scales)
    return scales.repeat_interleave(n_shared), shifts.repeat_interleave(n_shared)
