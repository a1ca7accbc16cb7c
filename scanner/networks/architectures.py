"""The two architectures of Wilde et al. 2022 and the seven networks built from them."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from torch import nn

N_CLASSES = 2
LENS_CLASS_INDEX = 1
"""Established by running the published weights."""
BAND_ORDER = ("J", "Y", "H", "VIS")
"""Input order of the published four-band networks, established by running them."""
DROPOUT_PROBABILITY = 0.2


@dataclass(frozen=True)
class Architecture:
    """How to build a network for a number of bands; it reads `[batch, band, input_pixels, input_pixels]`."""

    name: str
    build: Callable[[int], nn.Sequential]
    input_pixels: int


@dataclass(frozen=True)
class NetworkSpec:
    """A network of the ensemble: `bands` in input order."""

    name: str
    architecture: str
    bands: tuple[str, ...]


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


def ou66(n_bands: int) -> nn.Sequential:
    """OU-66 (Wilde et al. 2022, table 3): `[batch, n_bands, 66, 66]` to logits `[batch, 2]`."""
    return _stack(n_bands, _OU66, n_features=120, n_hidden=500)


def ou200(n_bands: int) -> nn.Sequential:
    """OU-200 (Wilde et al. 2022, table 4): `[batch, n_bands, 200, 200]` to logits `[batch, 2]`."""
    return _stack(n_bands, _OU200, n_features=720, n_hidden=350)


def _stack(n_bands: int, convolutions: tuple[_Conv, ...], n_features: int, n_hidden: int) -> nn.Sequential:
    """Modules named by the layer numbers of the paper's tables (which do not count the flattening)."""
    if n_bands < 1:
        raise ValueError(f"a network reads at least one band, got n_bands={n_bands}")
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    number = 0

    def add(*modules: nn.Module) -> None:
        nonlocal number
        for module in modules:
            layers[str(number)] = module
            number += 1

    n_in = n_bands
    for conv in convolutions:
        add(nn.Conv2d(n_in, conv.kernels, conv.side), nn.ReLU())
        if conv.pool:
            add(nn.MaxPool2d(2))
        add(nn.Dropout(DROPOUT_PROBABILITY))
        n_in = conv.kernels
    layers["flatten"] = nn.Flatten()
    add(nn.Linear(n_features, n_hidden), nn.ReLU(), nn.Linear(n_hidden, N_CLASSES))
    return nn.Sequential(layers)


def he_initialise(network: nn.Module) -> None:
    """He et al. 2015, equation 10: normal weights of variance 2 / fan-in, zero biases. Uses torch's global generator."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def count_parameters(network: nn.Module) -> int:
    """Trainable numbers."""
    return sum(parameter.numel() for parameter in network.parameters())


ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
    {"ou66": Architecture("ou66", ou66, 66), "ou200": Architecture("ou200", ou200, 200)}
)

PAPER_NETWORKS: tuple[NetworkSpec, ...] = (
    NetworkSpec("OU-J", "ou66", ("J",)),
    NetworkSpec("OU-Y", "ou66", ("Y",)),
    NetworkSpec("OU-H", "ou66", ("H",)),
    NetworkSpec("OU-JYH", "ou66", ("J", "Y", "H")),
    NetworkSpec("OU-VIS", "ou200", ("VIS",)),
    NetworkSpec("OU-66", "ou66", BAND_ORDER),
    NetworkSpec("OU-200", "ou200", BAND_ORDER),
)
"""The inputs of OU-T-SNE (Wilde et al. 2022, section 3.1)."""
