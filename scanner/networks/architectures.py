"""Every architecture that a card may name, and the networks built from them: the paper's seven and those of the cascade."""

import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from scanner.preprocess.channel import Channel, channels
from scanner.vocabulary.bands import EUCLID
from scanner.vocabulary.kinds import KINDS

if TYPE_CHECKING:
    from torch import nn

LENS_OR_NOT = ("nonlens", "lens")
"""Classes of the paper's networks in the order of their outputs, established by running the published weights."""
BAND_ORDER = ("J", "Y", "H", "VIS")
"""Input order of the published four-band networks, established by running them."""
SMALL_INPUT_PIXELS = 100
"""Side of the input of the small networks, 10 arcsec of MER mosaics."""
FIELD_PIXELS, INNER_PIXELS, MIDDLE_PIXELS = 96, 80, 64
"""Sides of the field that small networks see: 9.6, 8 and 6.4 arcsec in the middle; all can be halved four times."""


@dataclass(frozen=True)
class Architecture:
    """Networks for a number of channels; they read `[batch, channel, input_pixels, input_pixels]`."""

    name: str
    builder: str
    """`module:function` that builds a network for a number of channels. A card is read without it, and so without torch."""
    input_pixels: int
    classes: tuple[str, ...]
    """Classes of the outputs (logits), in order; the first is always `nonlens`."""
    turns: Literal[1, 2, 4] = 4
    """Orientations to average over: mirror images alone if quarter turns change no logit, 1 if these add little."""
    field_pixels: int | None = None
    """Side of the middle of the input that decides the outputs; None if every pixel does."""

    def build(self, n_channels: int) -> "nn.Sequential":
        """Build a network with untrained weights."""
        return pkgutil.resolve_name(self.builder)(n_channels)


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

    def build(self) -> "nn.Sequential":
        """Build the network with untrained weights."""
        return ARCHITECTURES[self.architecture].build(len(self.channels))


_SMALL: Mapping[str, tuple[Literal[2, 4], int]] = MappingProxyType(
    {
        "compact": (4, FIELD_PIXELS),
        "compact_wide": (4, FIELD_PIXELS),
        "compact_large": (4, FIELD_PIXELS),
        "equivariant": (2, FIELD_PIXELS),
        "equivariant_light": (2, INNER_PIXELS),
        "equivariant_first": (2, INNER_PIXELS),
        "equivariant_wide": (2, FIELD_PIXELS),
        "equivariant_large": (2, FIELD_PIXELS),
        "equivariant_middle": (2, MIDDLE_PIXELS),
    }
)
"""Small networks, the orientations that a committee averages over, and the side of the field."""
ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
    {
        architecture.name: architecture
        for architecture in (
            Architecture("ou66", "scanner.networks.paper_networks:ou66", 66, LENS_OR_NOT),
            Architecture("ou200", "scanner.networks.paper_networks:ou200", 200, LENS_OR_NOT),
            *(
                Architecture(name, f"scanner.networks.small_networks:{name}", SMALL_INPUT_PIXELS, KINDS, turns, field)
                for name, (turns, field) in _SMALL.items()
            ),
            Architecture("polar", "scanner.networks.polar_networks:polar", SMALL_INPUT_PIXELS, KINDS, 1, FIELD_PIXELS),
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

COMMITTEE_NETWORKS: tuple[NetworkSpec, ...] = (
    NetworkSpec("equivariant-sky", "equivariant_large", (*channels("sky_asinh", *EUCLID), *channels("detail", "VIS"))),
    NetworkSpec("compact-sky", "compact_large", (*channels("sky_asinh", *EUCLID), *channels("detail", "VIS"))),
    NetworkSpec("equivariant-centre", "equivariant_large", (*channels("centre_asinh", *EUCLID), *channels("detail", "VIS"))),
    NetworkSpec("equivariant-min-max", "equivariant_large", (*channels("min_max", *EUCLID), *channels("detail", "VIS"))),
    NetworkSpec("middle-sky", "equivariant_middle", (*channels("sky_asinh", *EUCLID), *channels("detail", "VIS"))),
    NetworkSpec("middle-centre", "equivariant_middle", (*channels("centre_asinh", *EUCLID), *channels("detail", "VIS"))),
    NetworkSpec("polar-sky", "polar", (*channels("sky_asinh", *EUCLID), *channels("detail", "VIS"))),
)
"""Networks for the committee of a cascade, which differ in architecture, scale, field or coordinates; three are shipped."""
FIRST_STAGE_NETWORKS: tuple[NetworkSpec, ...] = (
    NetworkSpec("light", "equivariant_first", (*channels("sky_asinh", *EUCLID), *channels("detail", "VIS"))),
)
"""The first stage of a cascade."""
CANDIDATE_NETWORKS: tuple[NetworkSpec, ...] = (
    NetworkSpec("candidate-sky", "polar", (*channels("sky_asinh", *EUCLID), *channels("detail", "VIS"))),
)
"""The network of a cascade that looks at its candidates."""
