"""Configuration of a training, and the presets that come with the package."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Self

from pydantic import Field, model_validator

from infra.frozen import Frozen
from scanner.networks.architectures import (
    CANDIDATE_NETWORKS,
    COMMITTEE_NETWORKS,
    FIRST_STAGE_NETWORKS,
    FLAGSHIP_NETWORKS,
    PAPER_NETWORKS,
    NetworkSpec,
)
from scanner.vocabulary.geometry import CHALLENGE, GEOMETRIES, MER_10
from scanner.vocabulary.kinds import KINDS

LARGE_INPUT_PIXELS = 100
"""Largest input side of a small network, in pixels; an epoch of a larger network costs nine times as much."""
PREVALENCE = 5e-4
"""Fraction of lenses among all objects that `p_lens` assumes by default."""
COMPOUND_SHARE = 0.02
"""Share of compound lenses that `p_compound` assumes by default, 1/80 to 1/40 (Gavazzi et al. 2008)."""
_WARM_UP = 0.15
"""Share of a one-cycle training in which the learning rate rises."""


class TrainConfig(Frozen):
    """Training of each network of an ensemble; the defaults are those of Wilde et al. 2022, section 3.2."""

    networks: tuple[NetworkSpec, ...] = PAPER_NETWORKS
    geometry: str = CHALLENGE.name
    """Geometry of the stamps that the networks read; shards of another geometry are converted to it."""
    epochs: int = Field(default=250, ge=1)
    batch_size: int = Field(default=250, ge=1)
    batch_size_large: int = Field(default=125, ge=1)
    learning_rate: float = Field(default=3e-4, gt=0)
    """Learning rate of AdamW: its peak, if the schedule is not constant."""
    weight_decay: float = Field(default=0, ge=0)
    """Weight decay, decoupled from the gradient (Loshchilov & Hutter 2019)."""
    schedule: Literal["constant", "one_cycle"] = "constant"
    """`one_cycle`: a linear rise, then half a cosine down to zero (Smith & Topin 2018)."""
    balance_classes: bool = True
    """Weight classes in the loss by the inverse of their numbers; else outputs follow the mixture of the training data."""
    lenses_only: bool = Field(default=False, exclude_if=lambda value: not value)
    """Learn from lenses alone: the network tells their kind, and its probability of a lens means nothing."""
    prevalence: float | None = Field(default=PREVALENCE, gt=0, lt=1)
    """Fraction of lenses that p_lens assumes; None: that of the validation split."""
    compound_share: float | None = Field(default=COMPOUND_SHARE, gt=0, lt=1)
    """Share of compound lenses that p_compound assumes; None: that of the split."""
    seed: int = Field(default=0, ge=0)
    validation_fraction: float = Field(default=0.1, gt=0, lt=0.5)
    test_fraction: float = Field(default=0.1, gt=0, lt=0.5)
    bfloat16: bool | None = None
    """Mixed precision: convolutions in bfloat16, weights and optimiser in float32; None: where that is faster."""
    start_from: Path | None = None
    """Package whose weights the fits start from, network by network, grown where it has smaller ones; None: random weights."""
    teacher: Path | None = None
    """Package whose probabilities the networks learn beside the labels; None: the labels alone."""
    teacher_share: float = Field(default=0.7, gt=0, le=1)
    """Weight of the teacher's probabilities in what the networks learn; the labels have the rest."""
    graded: Path | None = None
    """Folder of `training.graded` with graded objects, which the networks learn beside the simulated ones; None: none."""
    graded_share: float = Field(default=0.2, gt=0, lt=1)
    """Share of an epoch that graded objects have together."""
    augment: bool = True
    """Random flips and quarter turns, of every class alike."""
    num_workers: int = Field(default=1, ge=1)
    """Ray Train workers for each network; several train data-parallel, each on `batch_size` objects at a time."""
    cpus_per_worker: float = Field(default=1, gt=0)
    use_gpu: bool | None = None
    """True to train on GPUs; by default, only if the cluster has one for each worker."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [spec.name for spec in self.networks]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"networks must be one or more, each once, got {names}")
        if self.geometry not in GEOMETRIES:
            raise ValueError(f"geometry must be one of {sorted(GEOMETRIES)}, got {self.geometry!r}")
        if self.teacher and self.graded:
            raise ValueError("networks learn either from a teacher or from grades beside the labels, not from both")
        if self.lenses_only and any(spec.classes != KINDS for spec in self.networks):
            raise ValueError(f"networks that learn from lenses alone must distinguish {', '.join(KINDS)}")
        if self.lenses_only and self.balance_classes:
            raise ValueError("networks that learn from lenses alone learn their mixture: balance_classes must be false")
        if self.lenses_only and (self.graded or self.teacher):
            raise ValueError("networks that learn from lenses alone learn from no grades and no teacher, who know non-lenses")
        return self

    def network(self, name: str) -> NetworkSpec:
        """Return the network of this name."""
        return next(spec for spec in self.networks if spec.name == name)

    def with_networks(self, names: Sequence[str]) -> Self:
        """Return the configuration for some of its networks, in its order.

        Raises:
            ValueError: it has no network of a name.
        """
        known = [spec.name for spec in self.networks]
        if unknown := [name for name in names if name not in known]:
            raise ValueError(f"networks must be among {', '.join(known)}, got {', '.join(unknown)}")
        return self.model_copy(update={"networks": tuple(spec for spec in self.networks if spec.name in names)})

    def batch_size_of(self, spec: NetworkSpec) -> int:
        """Return the batch size for a network, by the side of its input."""
        return self.batch_size if spec.input_pixels <= LARGE_INPUT_PIXELS else self.batch_size_large

    def learning_rate_at(self, progress: float) -> float:
        """Return the learning rate after the fraction `progress` of all steps."""
        if self.schedule == "constant":
            return self.learning_rate
        if progress < _WARM_UP:
            return self.learning_rate * (0.04 + 0.96 * progress / _WARM_UP)
        return self.learning_rate * (1 + math.cos(math.pi * (progress - _WARM_UP) / (1 - _WARM_UP))) / 2


_FLAGSHIP = TrainConfig(
    networks=FLAGSHIP_NETWORKS,
    geometry=MER_10.name,
    epochs=14,
    batch_size=128,
    learning_rate=2e-3,
    weight_decay=1e-2,
    schedule="one_cycle",
    balance_classes=False,
    validation_fraction=0.06,
    test_fraction=0.04,
)
PRESETS: Mapping[str, TrainConfig] = MappingProxyType(
    {
        "flagship": _FLAGSHIP,
        "committee": _FLAGSHIP.model_copy(update={"networks": COMMITTEE_NETWORKS}),
        "first_stage": _FLAGSHIP.model_copy(update={"networks": FIRST_STAGE_NETWORKS}),
        "candidates": _FLAGSHIP.model_copy(update={"networks": CANDIDATE_NETWORKS}),
        "kind": _FLAGSHIP.model_copy(update={"networks": CANDIDATE_NETWORKS, "lenses_only": True}),
        "paper": TrainConfig(),
        "laptop": TrainConfig(epochs=12, batch_size=64, batch_size_large=32, learning_rate=1e-3, schedule="one_cycle"),
    }
)
"""`flagship`: small networks for MER stamps; `committee`, `first_stage`, `candidates` and `kind`: the stages of a cascade;
`paper`: 250 epochs in batches of 250 (OU-66) and 125 (OU-200); `laptop`: the paper's networks, a few epochs in batches for
small data."""
