"""The stages of a cascade on its card: first stage, early exit of the committee, candidate network, and second opinion."""

from collections.abc import Callable
from typing import Any, Self

from pydantic import Field, model_validator

from infra.frozen import Frozen
from scanner.networks.combiner import Combined, LogitMargins, SoftmaxStack
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


class SecondOpinion(Frozen, allow_inf_nan=False):
    """The networks of another ensemble, which err on other objects than the committee does: they correct `p_lens`, too."""

    networks: tuple[NetworkCard, ...] = Field(min_length=1)
    combiner: SoftmaxStack
    """Calibration of these networks together, on the natural draws that the committee is calibrated on."""

    def what_decides(self) -> dict[str, Any]:
        """Return everything that decides the corrected scores."""
        return {
            "networks": [network.what_decides() for network in self.networks],
            "combiner": self.combiner.what_decides(),
        }

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = tuple(network.name for network in self.networks)
        if self.combiner.networks != names:
            raise ValueError(f"the second opinion must combine its networks, {names}, got {self.combiner.networks}")
        others = {network.name: network.classes for network in self.networks if network.classes != KINDS}
        if others:
            raise ValueError(f"the networks of the second opinion must distinguish {KINDS}, got {others}")
        return self


class CandidateStage(Frozen, allow_inf_nan=False):
    """A network that looks at the candidates alone, tells their kind, and may correct their `p_lens`, also with others."""

    network: NetworkCard
    combiner: KindRegression
    """Regression of the kind of a lens on what the committee and this network say."""
    lens: LensRegression | None = Field(default=None, exclude_if=lambda value: value is None)
    """Regression that corrects `p_lens`; None: `p_lens` is the committee's."""
    opinion: SecondOpinion | None = Field(default=None, exclude_if=lambda value: value is None)
    """Further networks by which `lens` corrects `p_lens`; None: there are none."""
    metrics: dict[str, float] = Field(default_factory=dict)
    """Quality of the scores with and without this network, on objects that no network saw; empty where unknown."""

    def what_decides(self) -> dict[str, Any]:
        """Return everything that decides the scores of candidates."""
        lens = {"lens": self.lens.what_decides()} if self.lens else {}
        opinion = {"opinion": self.opinion.what_decides()} if self.opinion else {}
        return {"network": self.network.what_decides(), "combiner": self.combiner.what_decides(), **lens, **opinion}

    @property
    def networks(self) -> tuple[NetworkCard, ...]:
        """The candidate network, then those of the second opinion."""
        return (self.network, *(self.opinion.networks if self.opinion else ()))

    def with_networks(self, changed: Callable[[NetworkCard], NetworkCard]) -> Self:
        """Return the stage with every network as `changed` returns it."""
        of_opinion = tuple(map(changed, self.opinion.networks)) if self.opinion else ()
        opinion = self.opinion and self.opinion.model_copy(update={"networks": of_opinion})
        return self.model_copy(update={"network": changed(self.network), "opinion": opinion})

    def corrected(self, committee: SoftmaxStack, margins: LogitMargins) -> Combined:
        """Return a committee's scores with corrected log-odds of a lens, for margins of its networks and of this stage's.

        Raises:
            ValueError: this stage corrects no `p_lens`.
        """
        if self.lens is None:
            raise ValueError("this candidate network corrects no p_lens")
        of_opinion = self.opinion.combiner.fitted_log_odds(margins) if self.opinion else None
        of_committee = committee.fitted_log_odds(margins)
        return committee.combine(margins, self.lens.log_odds(of_committee, margins[self.network.name], of_opinion))

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.network.classes != KINDS:
            raise ValueError(f"the candidate network must distinguish {KINDS}, got {self.network.classes}")
        if self.combiner.network != self.network.name:
            raise ValueError(f"the combiner must read the candidate network {self.network.name}, got {self.combiner.network}")
        share = self.lens.opinion_share if self.lens else 0
        if (self.opinion is None) != (share == 0):
            raise ValueError(f"a second opinion and its weight belong together, got the weight {share:g}")
        return self
