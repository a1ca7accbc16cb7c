"""Every architecture that a card may name, and the networks built from them: the paper's seven and the flagship's three."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from torch import nn

from scanner.networks import small_networks
from scanner.preprocess.channels import Channel, channels
from scanner.vocabulary.bands import EUCLID
from scanner.vocabulary.kinds import KINDS

LENS_OR_NOT = ("nonlens", "lens")
"""Classes of the paper's networks in the order of their outputs, established by running the published weights."""
BAND_ORDER = ("J", "Y", "H", "VIS")
"""Input order of the published four-band networks, established by running them."""
DROPOUT_PROBABILITY = 0.2


@dataclass(frozen=True)
class Architecture:
    """Builder of networks for a number of channels; they read `[batch, channel, input_pixels, input_pixels]`."""

    name: str
    build: Callable[[int], nn.Sequential]
    input_pixels: int
    classes: tuple[str, ...]
    """Classes of the outputs (logits), in order; the first is always `nonlens`."""


@dataclass(frozen=True)
class NetworkSpec:
    """A network of an ensemble; `channels` are in input order."""

    name: str
    architecture: str
    channels: tuple[Channel, ...]

    @property
    def input_pixels(self) -> int:
        return ARCHITECTURES[self.architecture].input_pixels

    @property
    def classes(self) -> tuple[str, ...]:
        return ARCHITECTURES[self.architecture].classes

    def build(self) -> nn.Sequential:
        """Build the network with untrained weights."""
        return ARCHITECTURES[self.architecture].build(len(self.channels))


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


def he_initialise(network: nn.Module) -> None:
    """Draw normal weights of variance 2 / fan-in with torch's global generator, zero biases (He et al. 2015, equation 10)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear | small_networks.LiftingConv | small_networks.GroupConv):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)


def count_parameters(network: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(parameter.numel() for parameter in network.parameters())


ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
    {
        architecture.name: architecture
        for architecture in (
            Architecture("ou66", ou66, 66, LENS_OR_NOT),
            Architecture("ou200", ou200, 200, LENS_OR_NOT),
            Architecture("compact", small_networks.compact, small_networks.INPUT_PIXELS, KINDS),
            Architecture("equivariant", small_networks.equivariant, small_networks.INPUT_PIXELS, KINDS),
        )
    }
)

PAPER_NETWORKS: tuple[NetworkSpec, ...] = (
    NetworkSpec("OU-J", "ou66", channels("min_max", "J")),
    NetworkSpec("OU-Y", "ou66", channels("min_max", "Y")),
    NetworkSpec("OU-H", "ou66", channels("min_max", "H")),
    NetworkSpec("OU-JYH", "ou66", channels("min_max", "J", "Y", "H")),
    NetworkSpec("OU-VIS", "ou200", channels("min_max", "VIS")),
    NetworkSpec("OU-66", "ou66", channels("min_max", *BAND_ORDER)),
    NetworkSpec("OU-200", "ou200", channels("min_max", *BAND_ORDER)),
)
"""The inputs of OU-T-SNE (Wilde et al. 2022, section 3.1)."""

FLAGSHIP_NETWORKS: tuple[NetworkSpec, ...] = (
    NetworkSpec("compact-sky", "compact", (*channels("sky_asinh", *EUCLID), *channels("detail", "VIS"))),
    NetworkSpec("equivariant-sky", "equivariant", (*channels("sky_asinh", *EUCLID), *channels("detail", "VIS"))),
    NetworkSpec("equivariant-centre", "equivariant", (*channels("centre_asinh", *EUCLID), *channels("detail", "VIS"))),
)
"""The flagship's networks; they differ in architecture and input, so that their disagreement is informative."""
