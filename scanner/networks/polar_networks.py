"""A network that sees stamps in logarithmic polar coordinates: there, a larger ring is the same picture farther out.

Circles about the middle of the stamp become lines, and a turn of the stamp moves the picture along them. Cells are as wide as
high, so arcs keep their shapes.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from scanner.networks.architectures import FIELD_PIXELS
from scanner.networks.small_networks import CentreCrop
from scanner.vocabulary.kinds import KINDS

N_RADII, N_ANGLES = 48, 96
"""Number of cells along a radius, and around the middle. A quarter turn is 24 angles, which can be halved three times, so it
remains a whole number of cells."""
INNERMOST_PIXELS = 2.0
"""Radius of the inner edge of the innermost cells; the outermost cells end at 46.3 pixels."""
SAMPLES_A_SIDE = 2
"""A cell is the mean of this many samples along the radius, and as many along the angle: the outermost is three pixels wide."""
_WIDTHS = (16, 32, 48, 64)
"""Channels at the full resolution, and after each of three halvings."""
_N_HIDDEN = 128
_DROPOUT = 0.2


def polar(n_channels: int) -> nn.Sequential:
    """Build a network from `[batch, n_channels, 100, 100]` to logits `[batch, kind]`; 88 MFLOP with five channels.

    Quarter turns change no logit but for rounding, because angles wrap around.
    """
    if n_channels < 1:
        raise ValueError(f"a network reads at least one channel, got n_channels={n_channels}")
    full, half, quarter, eighth = _WIDTHS
    return nn.Sequential(
        CentreCrop(FIELD_PIXELS),
        LogPolar(),
        *_convolved(n_channels, full),
        nn.MaxPool2d(2),
        *_convolved(full, half),
        *_convolved(half, half),
        nn.MaxPool2d(2),
        *_convolved(half, quarter),
        *_convolved(quarter, quarter, n_angles=5),
        nn.MaxPool2d(2),
        # Seven of twelve angles: a cell sees the other side of the ring.
        *_convolved(quarter, eighth, n_angles=7),
        *_convolved(eighth, eighth, n_angles=7),
        MeanAndPeak(),
        nn.Linear(2 * eighth, _N_HIDDEN),
        nn.ReLU(),
        nn.Dropout(_DROPOUT),
        nn.Linear(_N_HIDDEN, len(KINDS)),
    )


class LogPolar(nn.Module):
    """Sample the middle of `[batch, channel, y, x]` to `[batch, channel, radius, angle]`, from the inside out.

    In training, each object is turned by any angle and stretched by up to one cell, at random, so that a network does not learn
    the pixels of one orientation.
    """

    def __init__(self) -> None:
        super().__init__()
        # Not a buffer, which `.to(bfloat16)` would round.
        self._grids: dict[tuple[torch.device, torch.dtype, int], Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        # Positions need more digits than bfloat16 has.
        exact = x if x.dtype == torch.float64 else x.float()
        grid = self._grid(exact).expand(len(x), -1, -1, -1)
        if self.training:
            grid = _turned_and_stretched(grid)
        samples = functional.grid_sample(exact, grid, padding_mode="border", align_corners=False)
        return functional.avg_pool2d(samples, SAMPLES_A_SIDE).to(x.dtype)

    def _grid(self, x: Tensor) -> Tensor:
        """Return the samples' places in images like `x`; a device gets them once, so that it does not wait for every batch."""
        key = x.device, x.dtype, x.shape[-1]
        if key not in self._grids:
            # A tensor of inference mode could not be used for gradients later.
            with torch.inference_mode(mode=False):
                self._grids[key] = torch.from_numpy(sample_grid(x.shape[-1])).to(x.device, x.dtype)
        return self._grids[key]


class WrapAngles(nn.Module):
    """Pad `[batch, channel, radius, angle]` for a convolution: beyond the last angle follows the first, beyond radii zeros."""

    def __init__(self, n_radii: int, n_angles: int) -> None:
        super().__init__()
        self.n_radii, self.n_angles = n_radii, n_angles

    def forward(self, x: Tensor) -> Tensor:
        around = torch.cat([x[..., -self.n_angles :], x, x[..., : self.n_angles]], dim=-1)
        return functional.pad(around, (0, 0, self.n_radii, self.n_radii))


class MeanAndPeak(nn.Module):
    """Reduce `[batch, n, radius, angle]` to the mean and the largest value of each map, `[batch, 2 * n]`."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x.mean((-2, -1)), x.amax((-2, -1))], dim=1)


def in_pixels(maps: Tensor, n_pixels: int) -> Tensor:
    """Stretch maps `[batch, channel, radius, angle]` of a polar network over its field, `[batch, channel, y, x]`.

    Values between the middles of cells are interpolated. Pixels inside the innermost cells take the values of these; the
    corners of the field, which the network does not see, are 0.
    """
    middle = (n_pixels - 1) / 2
    offsets = torch.arange(n_pixels, dtype=torch.float64) - middle
    y, x = torch.meshgrid(offsets, offsets, indexing="ij")
    cell, radius = 2 * torch.pi / N_ANGLES, torch.hypot(x, y)
    outwards = torch.log(radius / INNERMOST_PIXELS) / (cell * N_RADII)
    around = torch.remainder(torch.atan2(y, x), 2 * torch.pi) / (2 * torch.pi)
    n_angles = maps.shape[-1]
    # With one more cell at both ends, angles between the middles of the last and the first cell are interpolated, too.
    grid = torch.stack([(around * n_angles + 1) / (n_angles + 2), outwards], dim=-1) * 2 - 1
    wrapped = WrapAngles(0, 1)(maps)
    stretched = functional.grid_sample(
        wrapped, grid.to(maps).expand(len(maps), -1, -1, -1), padding_mode="border", align_corners=False
    )
    return stretched * (outwards <= 1).to(maps)


def offsets_pixels() -> NDArray[np.float64]:
    """Return the samples' offsets from the middle of a stamp, in pixels, `[radius, angle, (x, y)]`."""
    cell = 2 * np.pi / N_ANGLES
    radii, angles = ((np.arange(n * SAMPLES_A_SIDE) + 0.5) / SAMPLES_A_SIDE * cell for n in (N_RADII, N_ANGLES))
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    return np.asarray(INNERMOST_PIXELS * np.exp(radii)[:, None, None] * directions)


def sample_grid(n_pixels: int) -> NDArray[np.float64]:
    """Return the samples' places as `grid_sample` takes them, `[1, radius, angle, (x, y)]`: the image ends at -1 and 1."""
    return (offsets_pixels() * 2 / n_pixels)[None]


def _turned_and_stretched(grid: Tensor) -> Tensor:
    """Turn and stretch the places `[object, radius, angle, (x, y)]` of each object at random, about the middle."""
    angle, steps = 2 * torch.pi * torch.rand(2, len(grid), device=grid.device, dtype=grid.dtype)
    stretch = torch.exp((steps - torch.pi) * 2 / N_ANGLES)
    along, across = ((stretch * of(angle))[:, None, None] for of in (torch.cos, torch.sin))
    x, y = grid.unbind(-1)
    # Not a product of matrices, which autocast would take in bfloat16.
    return torch.stack([x * along - y * across, x * across + y * along], dim=-1)


def _convolved(n_in: int, n_out: int, n_angles: int = 3) -> tuple[nn.Module, ...]:
    """Build a convolution over three radii and `n_angles` angles that keeps the size of the map."""
    convolution = nn.Conv2d(n_in, n_out, (3, n_angles), bias=False)
    return WrapAngles(1, n_angles // 2), convolution, nn.BatchNorm2d(n_out), nn.ReLU()
