"""Occlusion maps: the logits of an image while a few of its pixels are hidden (Zeiler & Fergus 2014).

They are exact, but the whole network is not run for each mask: hiding a few pixels changes only a small window of every feature
map. The surroundings of the window are taken from the maps of the whole image, and each layer is run on the windows alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from scanner.networks.architectures import ARCHITECTURES
from scanner.networks.folded import folded_network
from scanner.networks.small_networks import CentreCrop
from scanner.preprocess.network_inputs import Inputs

MASKS_AT_ONCE = 512
MAX_MASKED_PIXELS = 2**18
"""Largest number of pixels of all masks together: some ten times as many change, in every channel of a layer."""
_SPATIAL = (nn.Conv2d, nn.ReLU, nn.MaxPool2d)


@dataclass(frozen=True)
class Masks:
    """Squares that are hidden one at a time, in all channels."""

    side_pixels: int
    step_pixels: int

    def __post_init__(self) -> None:
        if self.side_pixels < 1 or self.step_pixels < 1:
            raise ValueError(f"masks need a side and a step of at least 1 pixel, got {self.side_pixels} and {self.step_pixels}")

    def starts(self, n_pixels: int) -> NDArray[np.int64]:
        """Return the first row (or column) of each mask that lies wholly in an image of that many pixels a side."""
        return np.arange(0, n_pixels - self.side_pixels + 1, self.step_pixels)


_PAPER_MASKS = {"ou66": Masks(1, 1), "ou200": Masks(4, 4)}
MASKS: Mapping[str, Masks] = MappingProxyType(dict.fromkeys(ARCHITECTURES, Masks(8, 4)) | _PAPER_MASKS)
"""Masks by architecture: the paper's (Wilde et al. 2022, section 5.1); the flagship's are twice as wide as an arc, as narrower
ones leave too much visible: fewer of their maps peak on bright arcs."""


class OcclusionMapper:
    """Logits of one network for many masks."""

    def __init__(self, network: nn.Sequential, masks: Masks) -> None:
        """Take a network as its architecture builds it; it is not changed.

        Raises:
            ValueError: a convolution has a stride, dilation or groups other than 1, or a pool is not one of two pixels.
        """
        if strange := [layer for layer in network if not _is_known(layer)]:
            raise ValueError(f"occlusion supports convolutions of stride 1 and pools of 2 pixels, got {strange[0]}")
        folded = folded_network(network)
        folded.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        layers = list(folded)
        self._crop = layers.pop(0) if isinstance(layers[0], CentreCrop) else None
        spatial = [*takewhile(lambda layer: isinstance(layer, _SPATIAL), layers)]
        self._spatial, self._rest = spatial, nn.Sequential(*layers[len(spatial) :])
        self._masks = masks

    @torch.inference_mode()
    def whole_logits(self, inputs: Inputs) -> NDArray[np.float32]:
        """Return `[batch, class]` with nothing hidden, by the arithmetic of `logits`, so that only masks make a difference."""
        maps = torch.from_numpy(inputs)
        maps = maps if self._crop is None else self._crop(maps)
        for layer in self._spatial:
            maps = layer(maps)
        return np.asarray(self._rest(maps).numpy())

    @torch.inference_mode()
    def logits(self, inputs: Inputs, starts: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
        """Return `[batch, y, x, class]`, float32: the logits with the mask at each position; hidden pixels are 0.

        Args:
            inputs: `[batch, channel, y, x]`, as the network reads them.
            starts: First row (and column) of each mask, which must lie wholly in the image; by default those of `Masks.starts`.

        Raises:
            ValueError: there is no image, or it is smaller than the mask.
        """
        if not len(inputs) or inputs.shape[-1] < self._masks.side_pixels:
            raise ValueError(f"occlusion needs images of at least {self._masks.side_pixels} pixels a side, got {inputs.shape}")
        firsts = torch.from_numpy(self._masks.starts(inputs.shape[-1]) if starts is None else starts)
        return np.stack([self._of_one(torch.from_numpy(image), firsts) for image in inputs])

    def _of_one(self, image: Tensor, starts: Tensor) -> NDArray[np.float32]:
        y, x = (grid.reshape(-1) for grid in torch.meshgrid(starts, starts, indexing="ij"))
        seen = image[None] if self._crop is None else self._crop(image[None])
        offset = (image.shape[-1] - seen.shape[-1]) // 2
        maps = [seen.contiguous(memory_format=torch.channels_last)]
        for layer in self._spatial:
            maps.append(layer(maps[-1]))
        kept = [feature_map[0].permute(1, 2, 0) for feature_map in maps]
        n = max(1, min(MASKS_AT_ONCE, MAX_MASKED_PIXELS // self._masks.side_pixels**2))
        parts = [self._masked(kept, y[i : i + n] - offset, x[i : i + n] - offset) for i in range(0, len(y), n)]
        return np.asarray(torch.cat(parts).reshape(len(starts), len(starts), -1).numpy())

    def _masked(self, kept: list[Tensor], y: Tensor, x: Tensor) -> Tensor:
        """Return logits with the mask at each of some positions; a mask may lie partly beyond the image."""
        window = _hidden(kept[0], y, x, self._masks.side_pixels)
        for layer, before, after in zip(self._spatial, kept, kept[1:], strict=False):
            window = _step(layer, window, before, len(after))
        last = kept[-1].expand(len(y), -1, -1, -1).clone()
        _paste(last, window.values, window.y, window.x)
        logits: Tensor = self._rest(last.permute(0, 3, 1, 2))
        return logits


def _is_known(layer: nn.Module) -> bool:
    if isinstance(layer, nn.Conv2d):
        return layer.stride == layer.dilation == (1, 1) and layer.groups == 1
    return not isinstance(layer, nn.MaxPool2d) or (layer.kernel_size, layer.stride, layer.padding) == (2, 2, 0)


@dataclass(frozen=True)
class _Window:
    """Squares of one size, wholly inside a map, where the masked maps differ from the map of the whole image."""

    y: Tensor
    x: Tensor
    values: Tensor
    """`[n, y, x, channel]`."""

    @property
    def side(self) -> int:
        return self.values.shape[1]


def _hidden(image: Tensor, y: Tensor, x: Tensor, mask_side: int) -> _Window:
    side = min(mask_side, len(image))
    first_y, first_x = (start.clamp(0, len(image) - side) for start in (y, x))
    values = _cut(image, first_y, first_x, side)
    pixels = torch.arange(side)
    in_y, in_x = (
        ((start - first)[:, None] <= pixels) & (pixels < (start - first)[:, None] + mask_side)
        for start, first in ((y, first_y), (x, first_x))
    )
    values[in_y[:, :, None] & in_x[:, None, :]] = 0
    return _Window(first_y, first_x, values)


def _step(layer: nn.Module, window: _Window, before: Tensor, n_after: int) -> _Window:
    """Return the window after a layer; `before` is the layer's input for the whole image, `[y, x, channel]`."""
    if isinstance(layer, nn.ReLU):
        return _Window(window.y, window.x, window.values.relu_())
    if isinstance(layer, nn.Conv2d):
        return _convolved(layer, window, before, n_after)
    return _pooled(window, before, n_after)


def _convolved(layer: nn.Conv2d, window: _Window, before: Tensor, n_after: int) -> _Window:
    kernel, padding = layer.kernel_size[0], int(layer.padding[0])
    side = min(window.side + kernel - 1, n_after)
    # The first output that sees the first changed input.
    first_y, first_x = ((start + padding - kernel + 1).clamp(0, n_after - side) for start in (window.y, window.x))
    padded = functional.pad(before, (0, 0, padding, padding, padding, padding)) if padding else before
    around = _cut(padded, first_y, first_x, side + kernel - 1)
    _paste(around, window.values, window.y + padding - first_y, window.x + padding - first_x)
    out = functional.conv2d(around.permute(0, 3, 1, 2), layer.weight, layer.bias)
    return _Window(first_y, first_x, out.permute(0, 2, 3, 1))


def _pooled(window: _Window, before: Tensor, n_after: int) -> _Window:
    # All windows are as wide as the least aligned one needs.
    sides = [int(((start + window.side - 1) // 2 - start // 2).max()) + 1 for start in (window.y, window.x)]
    side = min(max(sides), n_after)
    first_y, first_x = ((start // 2).clamp(0, n_after - side) for start in (window.y, window.x))
    # An odd last row or column goes into no output, but a window may reach it.
    around = _cut(before, 2 * first_y, 2 * first_x, 2 * side + len(before) % 2)
    _paste(around, window.values, window.y - 2 * first_y, window.x - 2 * first_x)
    return _Window(first_y, first_x, functional.max_pool2d(around.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1))


def _cut(feature_map: Tensor, y: Tensor, x: Tensor, side: int) -> Tensor:
    """Cut `[n, side, side, channel]` out of a map `[y, x, channel]`, from those rows and columns on."""
    (n_y, n_x, n_channels), (step_y, step_x, step_channel) = feature_map.shape, feature_map.stride()
    windows = feature_map.as_strided(
        (n_y - side + 1, n_x - side + 1, side, side, n_channels), (step_y, step_x, step_y, step_x, step_channel)
    )
    return windows[y, x]


def _paste(onto: Tensor, values: Tensor, y: Tensor, x: Tensor) -> None:
    """Write `[n, y, x, channel]` into a larger such array, each from its own row and column on."""
    pixels = torch.arange(values.shape[1])
    onto[torch.arange(len(y))[:, None, None], (y[:, None] + pixels)[:, :, None], (x[:, None] + pixels)[:, None, :]] = values
