"""A regression gives the kind of a lens from what a committee and the candidate network say."""

from collections.abc import Sequence
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from infra.frozen import Frozen
from scanner.networks.combiner import LogitMargins
from scanner.networks.weighted_sums import weighted_sums
from scanner.vocabulary.kinds import KINDS

LENS_KINDS = KINDS[1:]
_SINGLE = LENS_KINDS.index("single")


class KindRegression(Frozen, allow_inf_nan=False):
    """Multinomial logistic regression of the kind of a lens on the log-odds of each compound kind against a single lens.

    It reads the mean log-odds of a committee's networks and those of the candidate network, as `kind_features` gives them. A
    `compound_share` moves the probabilities from the lenses that it was fitted on to those of which that share is compound.
    """

    committee: tuple[str, ...] = Field(min_length=1)
    network: str
    """Name of the candidate network."""
    clip: float = Field(gt=0)
    """Largest absolute log-odds that are read."""
    centre: tuple[float, ...]
    """One value per feature."""
    scale: tuple[Annotated[float, Field(gt=0)], ...]
    """One value per feature."""
    weights: tuple[tuple[float, ...], ...]
    """`[kind of lens][feature]`."""
    biases: tuple[float, ...]
    """One value per kind of lens."""
    training_fractions: tuple[Annotated[float, Field(gt=0, lt=1)], ...]
    """Fraction of each kind among the lenses that the regression was fitted on."""
    compound_share: float | None = Field(default=None, gt=0, lt=1)
    """Fraction of lenses that are compound; None assumes the fitted one."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        n_features, n_kinds = 2 * (len(LENS_KINDS) - 1), len(LENS_KINDS)
        lengths = {"centre": n_features, "scale": n_features}
        lengths |= {"weights": n_kinds, "biases": n_kinds, "training_fractions": n_kinds}
        for name, expected in lengths.items():
            if len(getattr(self, name)) != expected:
                raise ValueError(f"{name} must hold {expected} entries, got {len(getattr(self, name))}")
        if any(len(row) != n_features for row in self.weights):
            raise ValueError(f"weights must hold {n_features} numbers a kind, got {[len(row) for row in self.weights]}")
        if abs(sum(self.training_fractions) - 1) > 1e-6:
            raise ValueError(f"training_fractions must sum to 1, got {sum(self.training_fractions):.9g}")
        return self

    def what_decides(self) -> dict[str, Any]:
        """Return everything that decides the probabilities."""
        return self.model_dump(mode="json")

    @property
    def assumed_compound_share(self) -> float:
        """Fraction of lenses that are compound in the population for which the probabilities are right."""
        return 1 - self.training_fractions[_SINGLE] if self.compound_share is None else self.compound_share

    def assuming(self, compound_share: float | None) -> Self:
        """Return this regression for another fraction of compound lenses among the lenses.

        Raises:
            ValueError: the fraction is not between 0 and 1.
        """
        return self.model_validate({**self.model_dump(), "compound_share": compound_share})

    def fitted_probabilities(self, logit_margins: LogitMargins) -> NDArray[np.float64]:
        """Return p(kind | lens) in the fitted mixture, `[batch, kind of lens]`."""
        features = kind_features(logit_margins, self.committee, self.network, self.clip)
        scaled = (features - np.array(self.centre)) / np.array(self.scale)
        logits = weighted_sums(scaled, np.array(self.weights)) + np.array(self.biases)
        exp = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(exp / exp.sum(axis=1, keepdims=True))

    def at_assumed_share(self, fitted: NDArray[np.float64]) -> NDArray[np.float64]:
        """Move p(kind | lens), `[batch, kind of lens]`, from the fitted mixture to the assumed share of compound lenses."""
        if self.compound_share is None:
            return fitted
        single = self.training_fractions[_SINGLE]
        ratio = np.full(len(LENS_KINDS), self.compound_share / (1 - single))
        ratio[_SINGLE] = (1 - self.compound_share) / single
        weighted = fitted * ratio
        return np.asarray(weighted / weighted.sum(axis=1, keepdims=True))


def kind_features(logit_margins: LogitMargins, committee: Sequence[str], network: str, clip: float) -> NDArray[np.float64]:
    """Return `[batch, feature]`: log-odds of each compound kind against a single lens, of the committee, then of the network.

    Args:
        logit_margins: Network name to `[batch, class - 1]`.
        committee: Networks whose log-odds are averaged, each clipped to +-`clip`.
        network: The candidate network.
        clip: Largest absolute log-odds.
    """
    of_committee = np.mean([_log_odds(logit_margins[name], clip) for name in committee], axis=0)
    return np.concatenate([of_committee, _log_odds(logit_margins[network], clip)], axis=1)


def _log_odds(margins: NDArray[np.float64], clip: float) -> NDArray[np.float64]:
    """Return the clipped log-odds of each compound kind against a single lens, `[batch, compound kind]`."""
    differences = np.delete(margins, _SINGLE, axis=1) - margins[:, [_SINGLE]]
    return np.asarray(np.clip(differences, -clip, clip))
