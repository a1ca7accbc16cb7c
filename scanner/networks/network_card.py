"""The card of one network: its input, its weights file and its quality."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from infra.frozen import Frozen
from scanner.networks.architectures import ARCHITECTURES, NetworkSpec
from scanner.preprocess.channel import Channel
from scanner.vocabulary.network_columns import check_network_columns

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def check_name(name: str) -> str:
    """Return the name if it can be a file name on any system.

    Raises:
        ValueError: the name cannot be one.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"a name is 1-64 letters, digits, dots, dashes and underscores, got {name!r}")
    return name


def check_file_name(file: str, what: str, ending: str) -> str:
    """Return the name of a file beside a card if it is a plain one with this ending; `what` names it in the error.

    Raises:
        ValueError: the name has another ending, or could lead to another folder.
    """
    if not _NAME.fullmatch(file) or not file.endswith(ending):
        raise ValueError(f"{what} must be a plain file name ending in {ending}, got {file!r}")
    return file


class NetworkCard(Frozen, allow_inf_nan=False):
    """One network: its input, its weights file and its quality."""

    name: str
    architecture: str
    channels: tuple[Channel, ...] = Field(min_length=1)
    """Bands and their scales, in input order."""
    input_pixels: int
    geometry: str
    """Geometry of the stamps before they are resized to `input_pixels`."""
    classes: tuple[str, ...]
    """Classes of the outputs, in order."""
    turns: Literal[1, 2, 4, 8] = 1
    """Orientations of an image whose logits are averaged: 2: as it is and mirrored; 4: quarter turns; 8: both."""
    weights_file: str
    sha256: Sha256
    """Digest of the weights file."""
    n_parameters: int
    metrics: dict[str, float]
    """Metrics on objects that the network never saw; empty where unknown."""

    @field_validator("name")
    @classmethod
    def _usable_name(cls, value: str) -> str:
        check_network_columns([value])
        return check_name(value)

    @field_validator("weights_file")
    @classmethod
    def _plain_file_name(cls, value: str) -> str:
        return check_file_name(value, "weights_file", ".safetensors")

    @model_validator(mode="after")
    def _known_input(self) -> Self:
        if self.architecture not in ARCHITECTURES:
            raise ValueError(f"architecture must be one of {sorted(ARCHITECTURES)}, got {self.architecture!r}")
        built = ARCHITECTURES[self.architecture]
        for what in ("input_pixels", "classes"):
            if getattr(self, what) != getattr(built, what):
                raise ValueError(f"{what} of {self.architecture} must be {getattr(built, what)}, got {getattr(self, what)}")
        if len(set(self.channels)) != len(self.channels):
            got = [f"{channel.band} {channel.scaling}" for channel in self.channels]
            raise ValueError(f"each channel may be read once, got {got}")
        return self

    def what_decides(self) -> dict[str, Any]:
        """Return everything that decides the network's scores: the card without metrics."""
        # Cards that were written before networks could have turns keep their digest.
        return self.model_dump(mode="json", exclude={"metrics", "turns"} if self.turns == 1 else {"metrics"})

    def filed_by_name(self) -> Self:
        """Return the network with weights in a file of its name: networks of several packages may have files of one name."""
        return self.model_copy(update={"weights_file": f"{self.name}.safetensors"})

    @property
    def field_pixels(self) -> int:
        """Side of the middle of the input that decides the outputs."""
        return ARCHITECTURES[self.architecture].field_pixels or self.input_pixels

    @property
    def spec(self) -> NetworkSpec:
        """Specification of the network that holds the weights."""
        return NetworkSpec(self.name, self.architecture, self.channels)
