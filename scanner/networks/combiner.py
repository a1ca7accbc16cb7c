"""Combine the outputs of the networks into one probability for the ensemble."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from infra.frozen import Frozen
from scanner.networks.lens_curve import LensCurve
from scanner.networks.weighted_sums import weighted_sums
from scanner.vocabulary.kinds import KINDS

LogitMargins = Mapping[str, NDArray[np.float64]]
"""Network name to `[batch, class - 1]`: logit of each class except the first, `nonlens`, minus that of `nonlens`."""

Pooling = Literal["each", "without_lowest", "mean_probability"]
"""Input of a combiner: the margins of each network; their mean over the networks without the one that gives the object the
lowest probability of a lens, so that no network has a veto; or the margins of the networks' mean probabilities."""

_NONLENS, _SINGLE = KINDS.index("nonlens"), KINDS.index("single")
_COMPOUND = [KINDS.index("compound_arc"), KINDS.index("double_ring")]


@dataclass(frozen=True)
class Combined:
    """Combined scores, `[batch]` each; None where the combiner does not separate the kinds."""

    p_lens: NDArray[np.float32]
    p_compound: NDArray[np.float32] | None
    subclass: list[str] | None
    kinds_given_lens: NDArray[np.float32] | None = None
    """`[batch, kind of lens]`, in the order of `KINDS`: probability of each kind if the object is a lens; rows sum to 1."""


class MeanCombiner(Frozen):
    """The mean of the networks' lens probabilities: not calibrated, and does not separate the kinds."""

    kind: Literal["mean"]
    networks: tuple[str, ...] = Field(min_length=1)

    def what_decides(self) -> dict[str, Any]:
        """Return everything that decides the combined scores."""
        return self.model_dump(mode="json")

    def combine(self, logit_margins: LogitMargins) -> Combined:
        # Imported here, because cards are read without scipy.
        from scanner.networks.log_odds import lens_probability

        probabilities = [lens_probability(logit_margins[name]) for name in self.networks]
        return Combined(np.mean(probabilities, axis=0).astype(np.float32), None, None)


class SoftmaxStack(Frozen, allow_inf_nan=False):
    """Multinomial logistic regression on the networks' logit margins: one probability per kind of object.

    With m the logit margins clipped to +-`clip`, p = softmax(W (m - centre) / scale + b). A `lens_curve` then corrects the
    log-odds of a lens, and leaves those between the kinds of lens as they are. A `prevalence` moves p from the
    mixture that it was fitted on to one where that fraction is lensed, the mix of lens kinds unchanged: p'_k is proportional to
    p_k pi'_k / pi_k (Saerens et al. 2002, equation 4). A `compound_share` changes only what depends on the kind of lens:
    `p_compound` and `kinds_given_lens`.
    """

    kind: Literal["softmax_stack"]
    networks: tuple[str, ...] = Field(min_length=1)
    classes: tuple[str, ...]
    clip: float = Field(gt=0)
    pooling: Pooling = "each"
    centre: tuple[float, ...] = Field(min_length=1)
    """One value per logit margin: those of the first network, then those of the second, and so on; or one per pooled margin."""
    scale: tuple[Annotated[float, Field(gt=0)], ...]
    """One value per logit margin."""
    weights: tuple[tuple[float, ...], ...]
    """`[class][logit margin]`."""
    biases: tuple[float, ...]
    """One value per class."""
    lens_curve: LensCurve | None = None
    """Correction of the log-odds of a lens in the fitted mixture; None: none."""
    training_fractions: tuple[Annotated[float, Field(gt=0, lt=1)], ...]
    """Fraction of each class among the objects that the regression was fitted on."""
    prevalence: float | None = Field(gt=0, lt=1)
    """Fraction of lenses to assume instead; None assumes the fitted one."""
    compound_share: float | None = Field(default=None, gt=0, lt=1)
    """Fraction of lenses that are compound, for `p_compound` and `kinds_given_lens`; None assumes the fitted one."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.classes != KINDS:
            raise ValueError(f"classes must be {KINDS}, got {self.classes}")
        n_margins, n_classes = len(self.centre), len(self.classes)
        lengths = {"scale": n_margins, "biases": n_classes, "training_fractions": n_classes}
        for name, expected in {**lengths, "weights": n_classes}.items():
            if len(getattr(self, name)) != expected:
                raise ValueError(f"{name} must hold {expected} entries, got {len(getattr(self, name))}")
        if any(len(row) != n_margins for row in self.weights):
            raise ValueError(f"weights must hold {n_margins} numbers a class, got {[len(row) for row in self.weights]}")
        if abs(sum(self.training_fractions) - 1) > 1e-6:
            raise ValueError(f"training_fractions must sum to 1, got {sum(self.training_fractions):.9g}")
        return self

    def what_decides(self) -> dict[str, Any]:
        """Return everything that decides the combined scores."""
        # Cards that were written before margins could be pooled, or log-odds corrected, keep their digest.
        defaults = {"pooling": "each", "lens_curve": None}
        return self.model_dump(mode="json", exclude={name for name, value in defaults.items() if getattr(self, name) == value})

    def assuming(self, prevalence: float | None, compound_share: float | None) -> Self:
        """Return this combiner for other fractions of lenses, and of compound lenses among the lenses.

        Raises:
            ValueError: a fraction is not between 0 and 1.
        """
        changed = {"prevalence": prevalence, "compound_share": compound_share}
        return self.model_validate({**self.model_dump(), **changed})

    @property
    def fitted_prevalence(self) -> float:
        """Fraction of lenses among the objects that the regression was fitted on."""
        return 1 - self.training_fractions[_NONLENS]

    @property
    def assumed_compound_share(self) -> float:
        """Fraction of lenses that are compound in the population for which `p_compound` is right."""
        return self.fitted_compound_share if self.compound_share is None else self.compound_share

    @property
    def fitted_compound_share(self) -> float:
        """Fraction of lenses that are compound among the objects that the regression was fitted on, which `p_lens` counts."""
        fitted = np.array(self.training_fractions)
        return float(fitted[_COMPOUND].sum() / (1 - fitted[_NONLENS]))

    def probabilities(self, logit_margins: LogitMargins) -> NDArray[np.float64]:
        """Return the probabilities `[batch, class]`; each row sums to 1."""
        return self._shifted(self._fitted_logits(logit_margins))

    def _shifted(self, fitted_logits: NDArray[np.float64]) -> NDArray[np.float64]:
        return _softmax(fitted_logits + self._log_prior_shift(), axis=1)

    def fitted_log_odds(self, logit_margins: LogitMargins) -> NDArray[np.float64]:
        """Return the log-odds of a lens in the fitted mixture, `[batch]`."""
        logits = self._fitted_logits(logit_margins)
        return np.asarray(_lens_logit(logits) - logits[:, _NONLENS])

    def lens_probabilities(self, logit_margins: LogitMargins) -> NDArray[np.float64]:
        """Return the probability of a lens of any kind, `[batch]`, at the assumed prevalence."""
        return _of_lens(self.probabilities(logit_margins))

    def combine(self, logit_margins: LogitMargins, fitted_log_odds: NDArray[np.float64] | None = None) -> Combined:
        """Return the combined scores of networks' margins.

        Args:
            logit_margins: Network name to `[batch, class - 1]`.
            fitted_log_odds: Log-odds of a lens in the fitted mixture, `[batch]`, in place of the regression's own; those
                between the kinds of lens stay the same.
        """
        fitted_logits = self._fitted_logits(logit_margins)
        if fitted_log_odds is not None:
            fitted_logits[:, _NONLENS] = _lens_logit(fitted_logits) - fitted_log_odds
        p = self._shifted(fitted_logits)
        p_lens = _of_lens(p)
        compound_given_lens = self._compound_given_lens(p)
        return Combined(
            p_lens=p_lens.astype(np.float32),
            p_compound=(p_lens * compound_given_lens).astype(np.float32),
            subclass=self._subclass(fitted_logits),
            kinds_given_lens=_kinds_given_lens(p, compound_given_lens).astype(np.float32),
        )

    def _compound_given_lens(self, p: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return p(compound | lens), `[batch]`.

        `p_lens` counts all kinds as fitted: weights by their frequency on the sky would hide the rare ones.
        """
        fitted = np.array(self.training_fractions)
        share = self.assumed_compound_share
        compound = p[:, _COMPOUND].sum(axis=1) * share / fitted[_COMPOUND].sum()
        single = p[:, _SINGLE] * (1 - share) / fitted[_SINGLE]
        return np.asarray(compound / np.maximum(compound + single, 1e-300))

    def _subclass(self, fitted_logits: NDArray[np.float64]) -> list[str]:
        """Return each object's kind, where half of the objects are lenses, with the kinds as frequent as in the fitted mixture.

        At a low prevalence almost every object would be a non-lens, and the fitted one follows the number of simulated
        non-lenses. Unless p(nonlens) exceeds one half, the likeliest kind of lens wins: the kinds do not split the vote for a
        lens.
        """
        fitted = self.fitted_prevalence
        log_odds = _lens_logit(fitted_logits) - fitted_logits[:, _NONLENS] - np.log(fitted / (1 - fitted))
        of_lens = np.where(np.arange(len(self.classes)) == _NONLENS, -np.inf, fitted_logits).argmax(axis=1)
        return [self.classes[k] for k in np.where(log_odds < 0, _NONLENS, of_lens)]

    def _log_prior_shift(self) -> NDArray[np.float64]:
        """Return ln(pi' / pi), `[class]`."""
        if self.prevalence is None:
            return np.zeros(len(self.classes))
        fitted = np.array(self.training_fractions)
        ratio = np.full(len(fitted), self.prevalence / (1 - fitted[_NONLENS]))
        ratio[_NONLENS] = (1 - self.prevalence) / fitted[_NONLENS]
        return np.log(ratio)

    def _fitted_logits(self, logit_margins: LogitMargins) -> NDArray[np.float64]:
        features = stack_features(logit_margins, self.networks, self.clip, self.pooling)
        scaled = (features - np.array(self.centre)) / np.array(self.scale)
        logits = weighted_sums(scaled, np.array(self.weights)) + np.array(self.biases)
        if self.lens_curve is not None:
            lens = _lens_logit(logits)
            logits[:, _NONLENS] = lens - self.lens_curve.calibrated(lens - logits[:, _NONLENS])
        return logits


def _of_lens(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probability of all kinds of lens together, `[batch]`, for probabilities `[batch, class]`."""
    return np.asarray(np.delete(p, _NONLENS, axis=1).sum(axis=1))


def _lens_logit(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logit of all kinds of lens together, `[batch]`, for logits `[batch, class]`."""
    return np.asarray(np.logaddexp.reduce(np.delete(logits, _NONLENS, axis=1), axis=1))


def _kinds_given_lens(p: NDArray[np.float64], compound_given_lens: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return p(kind | lens), `[batch, kind of lens]`, for p of every kind, `[batch, kind]`, and p(compound | lens), `[batch]`.

    The two compound kinds share p(compound | lens) as in the fitted mixture.
    """
    arc, ring = (p[:, k] for k in _COMPOUND)
    arc_given_compound = arc / np.maximum(arc + ring, 1e-300)
    compound = compound_given_lens * np.stack([arc_given_compound, 1 - arc_given_compound])
    return np.stack([1 - compound_given_lens, *compound], axis=1)


Combiner = Annotated[MeanCombiner | SoftmaxStack, Field(discriminator="kind")]


def _softmax(logits: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    # In numpy: scipy's function takes a quarter of a millisecond for each batch.
    exp = np.exp(logits - logits.max(axis=axis, keepdims=True))
    return np.asarray(exp / exp.sum(axis=axis, keepdims=True))


def stack_features(
    logit_margins: LogitMargins, networks: tuple[str, ...], clip: float, pooling: Pooling = "each"
) -> NDArray[np.float64]:
    """Return `[batch, logit margin]`, of all networks or pooled, clipped to +-`clip`, so that no extreme network decides alone.

    Raises:
        ValueError: margins are to be pooled, and a network does not distinguish all kinds.
    """
    clipped = [np.clip(logit_margins[name], -clip, clip) for name in networks]
    if pooling == "each":
        return np.concatenate(clipped, axis=1)
    if any(margins.shape[1] != len(KINDS) - 1 for margins in clipped):
        raise ValueError(f"networks whose margins are pooled must distinguish {', '.join(KINDS)}")
    return _without_lowest(np.stack(clipped)) if pooling == "without_lowest" else _of_mean_probability(np.stack(clipped))


def _without_lowest(margins: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average `[network, batch, logit margin]` over all networks but the one with the lowest log-odds of a lens."""
    if len(margins) == 1:
        return margins[0]
    lowest = np.logaddexp.reduce(margins, axis=2).argmin(axis=0)
    rows = np.arange(margins.shape[1])
    return np.asarray((margins.sum(axis=0) - margins[lowest, rows]) / (len(margins) - 1))


def _of_mean_probability(margins: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logit margins of the mean of the networks' probabilities, for margins `[network, batch, logit margin]`."""
    log_nonlens = -np.logaddexp(0.0, np.logaddexp.reduce(margins, axis=2))
    log_kinds = margins + log_nonlens[..., None]
    return np.asarray(np.logaddexp.reduce(log_kinds, axis=0) - np.logaddexp.reduce(log_nonlens, axis=0)[:, None])


def spread(logit_margins: LogitMargins) -> NDArray[np.float32]:
    """Return the standard deviation of the networks' own probabilities of a lens, which are not calibrated, `[batch]`."""
    from scanner.networks.log_odds import lens_probability

    p = [lens_probability(margins).astype(np.float32) for margins in logit_margins.values()]
    return np.std(np.stack(p, dtype=np.float64), axis=0).astype(np.float32)
