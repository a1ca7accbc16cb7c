"""The networks of Wilde et al. 2022, tables 3 and 4."""

from collections import OrderedDict
from dataclasses import dataclass

from torch import nn

from scanner.networks.architectures import LENS_OR_NOT

DROPOUT_PROBABILITY = 0.2


@dataclass(frozen=True)
class _Conv:
    """A convolution with its ReLU, then a 2x2 max pool if `pool`, then dropout."""

    kernels: int
    side: int = 3
    pool: bool = False


_OU66 = (
    _Conv(50, pool=True),
    _Conv(50),
    _Conv(50),
    _Conv(50),
    _Conv(40, pool=True),
    _Conv(40),
    _Conv(40),
    _Conv(40),
    _Conv(30, pool=True),
)
_OU200 = (
    _Conv(50, side=5, pool=True),
    _Conv(40, side=5, pool=True),
    _Conv(30, pool=True),
    _Conv(20, pool=True),
    _Conv(20),
    _Conv(20),
)


def ou66(n_channels: int) -> nn.Sequential:
    """Build OU-66 (Wilde et al. 2022, table 3), from `[batch, n_channels, 66, 66]` to logits `[batch, 2]`."""
    return _stack(n_channels, _OU66, n_features=120, n_hidden=500)


def ou200(n_channels: int) -> nn.Sequential:
    """Build OU-200 (Wilde et al. 2022, table 4), from `[batch, n_channels, 200, 200]` to logits `[batch, 2]`."""
    return _stack(n_channels, _OU200, n_features=720, n_hidden=350)


def _stack(n_channels: int, convolutions: tuple[_Conv, ...], n_features: int, n_hidden: int) -> nn.Sequential:
    """Stack modules, named by the layer numbers of the paper's tables (which do not count the flattening)."""
    if n_channels < 1:
        raise ValueError(f"a network reads at least one channel, got n_channels={n_channels}")
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    number = 0

    def add(*modules: nn.Module) -> None:
        nonlocal number
        for module in modules:
            layers[str(number)] = module
            number += 1

    n_in = n_channels
    for conv in convolutions:
        add(nn.Conv2d(n_in, conv.kernels, conv.side), nn.ReLU())
        if conv.pool:
            add(nn.MaxPool2d(2))
        add(nn.Dropout(DROPOUT_PROBABILITY))
        n_in = conv.kernels
    layers["flatten"] = nn.Flatten()
    add(nn.Linear(n_features, n_hidden), nn.ReLU(), nn.Linear(n_hidden, len(LENS_OR_NOT)))
    return nn.Sequential(layers)
