"""The stages of a cascade on its card: first stage, early exit of the committee, and candidate network."""

from typing import Any, Self

from pydantic import Field, model_validator

from infra.frozen import Frozen
from scanner.networks.combiner import SoftmaxStack
from scanner.networks.kind_regression import KindRegression
from scanner.networks.lens_regression import LensRegression
from scanner.networks.network_card import NetworkCard
from scanner.vocabulary.kinds import KINDS


class ExcludingNetwork(Frozen, allow_inf_nan=False):
    """A network that excludes objects: its calibration, its limit and what was measured of it."""

    combiner: SoftmaxStack
    """Calibration of the network alone, at the prevalence of `p_lens`."""
    exclude_below: float = Field(gt=0, lt=1)
    """Smallest `p_lens` of the network alone with which an object reaches the networks after it."""
    metrics: dict[str, float] = Field(default_factory=dict)
    """Share of objects that reach them, and of lenses lost up to here, on objects that no network saw; empty where unknown."""

    def what_decides(self) -> dict[str, Any]:
        """Return everything but the network that decides which objects pass."""
        return {"combiner": self.combiner.what_decides(), "exclude_below": self.exclude_below}


class FirstStage(ExcludingNetwork):
    """A small network that looks at every object and excludes those that the committee need not see."""

    network: NetworkCard

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.combiner.networks != (self.network.name,):
            raise ValueError(f"the first stage must combine {self.network.name} alone, got {self.combiner.networks}")
        if len(self.combiner.centre) != len(self.network.classes) - 1:
            got, needed = len(self.combiner.centre), len(self.network.classes) - 1
            raise ValueError(f"the combiner of the first stage must read {needed} logit margins, got {got}")
        return self


class EarlyExit(ExcludingNetwork):
    """The network of a committee that looks first, and excludes objects that the other networks need not see."""

    network: str
    """Name of the network, one of the committee's."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.combiner.networks != (self.network,):
            raise ValueError(f"the early exit must combine {self.network} alone, got {self.combiner.networks}")
        return self


class CandidateStage(Frozen, allow_inf_nan=False):
    """A network that looks at the candidates alone, tells their kind, and may correct their `p_lens`."""

    network: NetworkCard
    combiner: KindRegression
    """Regression of the kind of a lens on what the committee and this network say."""
    lens: LensRegression | None = Field(default=None, exclude_if=lambda value: value is None)
    """Regression that corrects `p_lens`; None: `p_lens` is the committee's."""
    metrics: dict[str, float] = Field(default_factory=dict)
    """Quality of the scores with and without this network, on objects that no network saw; empty where unknown."""

    def what_decides(self) -> dict[str, Any]:
        """Return everything that decides the scores of candidates."""
        lens = {"lens": self.lens.what_decides()} if self.lens else {}
        return {"network": self.network.what_decides(), "combiner": self.combiner.what_decides(), **lens}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.network.classes != KINDS:
            raise ValueError(f"the candidate network must distinguish {KINDS}, got {self.network.classes}")
        if self.combiner.network != self.network.name:
            raise ValueError(f"the combiner must read the candidate network {self.network.name}, got {self.combiner.network}")
        return self
