"""What a training is told, and the two settings that come with the package."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from scanner.networks.architectures import ARCHITECTURES, PAPER_NETWORKS, NetworkSpec


class TrainConfig(BaseModel):
    """How each network of an ensemble is trained (Wilde et al. 2022, section 3.2)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(default=250, ge=1)
    epochs_ou200: int | None = Field(default=None, ge=1)
    """For networks that read 200 px, whose epochs cost nine times as much; `epochs` by default."""
    batch_size_ou66: int = Field(default=250, ge=1)
    batch_size_ou200: int = Field(default=125, ge=1)
    learning_rate: float = Field(default=3e-4, gt=0)
    """Of Adam."""
    seed: int = Field(default=0, ge=0)
    networks: tuple[str, ...] = tuple(spec.name for spec in PAPER_NETWORKS)
    validation_fraction: float = Field(default=0.1, gt=0, lt=0.5)
    test_fraction: float = Field(default=0.1, gt=0, lt=0.5)
    bfloat16: bool = True
    """Mixed precision: convolutions in bfloat16, weights and optimiser in float32."""
    augment: bool = True
    """Random flips and quarter turns, of every class alike."""
    num_workers: int = Field(default=1, ge=1)
    """Ray Train workers a network; more than one train data-parallel, each on `batch_size` objects at a time."""
    cpus_per_worker: float = Field(default=1, gt=0)
    use_gpu: bool = False

    @model_validator(mode="after")
    def _known_networks(self) -> Self:
        known = [spec.name for spec in PAPER_NETWORKS]
        unknown = [name for name in self.networks if name not in known]
        if unknown or not self.networks or len(set(self.networks)) != len(self.networks):
            raise ValueError(f"networks must be one or more of {known}, each once, got {list(self.networks)}")
        return self

    @property
    def specs(self) -> tuple[NetworkSpec, ...]:
        """The networks to train, in the paper's order."""
        return tuple(spec for spec in PAPER_NETWORKS if spec.name in self.networks)

    def epochs_of(self, spec: NetworkSpec) -> int:
        return self.epochs if spec.architecture == "ou66" or self.epochs_ou200 is None else self.epochs_ou200

    def batch_size_of(self, spec: NetworkSpec) -> int:
        return self.batch_size_ou66 if ARCHITECTURES[spec.architecture].input_pixels <= 66 else self.batch_size_ou200


PRESETS: Mapping[str, TrainConfig] = MappingProxyType(
    {
        "paper": TrainConfig(),
        "laptop": TrainConfig(epochs=12, batch_size_ou66=64, batch_size_ou200=32),
    }
)
"""`paper`: 250 epochs in batches of 250 (OU-66) and 125 (OU-200); `laptop`: a few epochs in batches that suit small data."""
