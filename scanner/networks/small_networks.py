"""Small networks that classify 10 arcsec MER stamps by kind: a plain one, and one that is invariant to quarter turns."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from scanner.networks.architectures import FIELD_PIXELS, INNER_PIXELS, MIDDLE_PIXELS
from scanner.vocabulary.kinds import KINDS

_WIDTHS = (12, 20, 30, 44, 56)
"""Channels at the full resolution, and after each of four halvings: most of the work is done where the arcs are."""
_WIDE, _LARGE = (16, 28, 40, 56, 72), (16, 28, 40, 80, 112)
_ORIENTED_WIDTHS = (3, 5, 7, 11, 14)
"""Channels of the equivariant network; each has four orientations."""
_ORIENTED_LIGHT, _ORIENTED_FIRST = (3, 4, 6, 7, 10), (3, 4, 6, 8, 13)
_ORIENTED_WIDE, _ORIENTED_LARGE, _ORIENTED_MIDDLE = (4, 7, 10, 14, 18), (4, 7, 10, 20, 32), (6, 10, 14, 20, 26)
_N_HIDDEN = 64
_N_ORIENTED_HIDDEN = 16
_DROPOUT = 0.2
N_ORIENTATIONS = 4

Layer = Callable[[int, int], nn.Module]


def compact(n_channels: int) -> nn.Sequential:
    """Build a network from `[batch, n_channels, 100, 100]` to logits `[batch, kind]`; 48 MFLOP with five channels."""
    return _plain(n_channels, _WIDTHS)


def compact_wide(n_channels: int) -> nn.Sequential:
    """Build `compact` with a third more channels; 80 MFLOP with five channels."""
    return _plain(n_channels, _WIDE)


def compact_large(n_channels: int) -> nn.Sequential:
    """Build `compact_wide` with half as many channels again at the two coarsest scales, where they cost little; 99 MFLOP."""
    return _plain(n_channels, _LARGE)


def equivariant(n_channels: int) -> nn.Sequential:
    """Build `compact` from convolutions over quarter turns (Cohen & Welling 2016, section 6): a turn changes no logit."""
    return _oriented(n_channels, _ORIENTED_WIDTHS, FIELD_PIXELS)


def equivariant_light(n_channels: int) -> nn.Sequential:
    """Build a narrower `equivariant` that sees the middle 8 arcsec and can look at every object; 23 MFLOP with five channels.

    In the middle 6.4 arcsec, it would not see the arcs of large lenses.
    """
    return _oriented(n_channels, _ORIENTED_LIGHT, INNER_PIXELS)


def equivariant_first(n_channels: int) -> nn.Sequential:
    """Build `equivariant_light` with more channels at the two coarsest scales; 25 MFLOP with five channels.

    It has no dropout, because it is too small to overfit.
    """
    return _oriented(n_channels, _ORIENTED_FIRST, INNER_PIXELS, dropout=0.0)


def equivariant_wide(n_channels: int) -> nn.Sequential:
    """Build `equivariant` with a third more channels; 80 MFLOP with five channels."""
    return _oriented(n_channels, _ORIENTED_WIDE, FIELD_PIXELS)


def equivariant_large(n_channels: int) -> nn.Sequential:
    """Build `equivariant_wide` with more channels at the two coarsest scales, where they cost little; 103 MFLOP."""
    return _oriented(n_channels, _ORIENTED_LARGE, FIELD_PIXELS)


def equivariant_middle(n_channels: int) -> nn.Sequential:
    """Build an `equivariant` of twice as many channels that sees the middle 6.4 arcsec; 69 MFLOP with five channels."""
    return _oriented(n_channels, _ORIENTED_MIDDLE, MIDDLE_PIXELS)


def _plain(n_channels: int, widths: tuple[int, ...]) -> nn.Sequential:
    _check_channels(n_channels)
    side = FIELD_PIXELS // 16
    layers = _trunk(n_channels, widths, FIELD_PIXELS, [_conv] * 8, nn.BatchNorm2d)
    head = (nn.Linear(widths[-1] * side**2, _N_HIDDEN), nn.ReLU(), nn.Dropout(_DROPOUT), nn.Linear(_N_HIDDEN, len(KINDS)))
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(_DROPOUT), *head)


def _oriented(n_channels: int, widths: tuple[int, ...], crop_pixels: int, dropout: float = _DROPOUT) -> nn.Sequential:
    _check_channels(n_channels)
    layers = _trunk(n_channels, widths, crop_pixels, [LiftingConv, *[GroupConv] * 7], OrientedBatchNorm)
    last = GroupConv(widths[-1], _N_ORIENTED_HIDDEN, crop_pixels // 16, padding=0)
    head = (last, OrientedBatchNorm(_N_ORIENTED_HIDDEN), nn.ReLU(), MeanOverOrientations(), nn.Dropout(dropout))
    return nn.Sequential(*layers, nn.Dropout(dropout), *head, nn.Linear(_N_ORIENTED_HIDDEN, len(KINDS)))


class CentreCrop(nn.Module):
    """Crop `[batch, channel, y, x]` to the middle `n_pixels` a side."""

    def __init__(self, n_pixels: int) -> None:
        super().__init__()
        self.n_pixels = n_pixels

    def forward(self, x: Tensor) -> Tensor:
        first = (x.shape[-1] - self.n_pixels) // 2
        inside = slice(first, first + self.n_pixels)
        return x[..., inside, inside]


class LiftingConv(nn.Module):
    """Convolve `[batch, n_in, y, x]` to `[batch, n_out * 4, y, x]`: each 3x3 kernel in its four orientations."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_out, n_in, 3, 3))
        self.padding = 1

    def kernels(self) -> Tensor:
        """Return the kernels in all orientations, `[n_out * 4, n_in, y, x]`."""
        turned = [torch.rot90(self.weight, turn, (-2, -1)) for turn in range(N_ORIENTATIONS)]
        return torch.stack(turned, 1).flatten(0, 1)

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(x, self.kernels(), padding=self.padding)


class GroupConv(nn.Module):
    """Convolve `[batch, n_in * 4, y, x]` to `[batch, n_out * 4, y, x]`: turning a kernel also shifts its input orientations."""

    def __init__(self, n_in: int, n_out: int, side: int = 3, padding: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_out, n_in * N_ORIENTATIONS, side, side))
        self.padding = padding

    def kernels(self) -> Tensor:
        """Return the kernels in all orientations, `[n_out * 4, n_in * 4, y, x]`."""
        n_out, n_oriented, side, _ = self.weight.shape
        kernels = self.weight.reshape(n_out, -1, N_ORIENTATIONS, side, side)
        turned = [torch.rot90(kernels.roll(turn, 2), turn, (-2, -1)) for turn in range(N_ORIENTATIONS)]
        return torch.stack(turned, 1).reshape(n_out * N_ORIENTATIONS, n_oriented, side, side)

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(x, self.kernels(), padding=self.padding)


class OrientedBatchNorm(nn.BatchNorm2d):
    """Batch normalisation of `[batch, n * 4, y, x]`; the four orientations share their statistics."""

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        together = x.reshape(batch, channels // N_ORIENTATIONS, N_ORIENTATIONS * height, width)
        return super().forward(together).reshape(x.shape)


class MeanOverOrientations(nn.Module):
    """Average `[batch, n * 4, 1, 1]` over the orientations, to `[batch, n]`."""

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), x.shape[1] // N_ORIENTATIONS, N_ORIENTATIONS).mean(-1)


def _trunk(
    n_channels: int, widths: tuple[int, ...], crop_pixels: int, convs: list[Layer], norm: Callable[[int], nn.Module]
) -> list[nn.Module]:
    """Build the layers to a sixteenth of the crop's side: one convolution at both of the finest scales, then two."""
    layers: list[nn.Module] = [CentreCrop(crop_pixels)]
    following = iter(convs)
    n_in = n_channels
    for scale, width in enumerate(widths):
        layers += [nn.MaxPool2d(2)] if scale else []
        for _ in range(1 if scale < 2 else 2):
            layers += [next(following)(n_in, width), norm(width), nn.ReLU()]
            n_in = width
    return layers


def _conv(n_in: int, n_out: int) -> nn.Module:
    return nn.Conv2d(n_in, n_out, 3, padding=1, bias=False)


def _check_channels(n_channels: int) -> None:
    if n_channels < 1:
        raise ValueError(f"a network reads at least one channel, got n_channels={n_channels}")
