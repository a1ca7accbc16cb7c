"""Ways to combine networks, compared by cross-validation on the objects that the combiner is fitted on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import KNeighborsClassifier

from infra.frozen import Frozen
from scanner.networks.combiner import LogitMargins, MeanCombiner, SoftmaxStack
from scanner.networks.log_odds import lens_probability
from scanner.vocabulary.kinds import KINDS
from training.evaluation.calibrate import CLIP, can_stack, fit_stack, fit_tied_stack
from training.evaluation.metrics import auroc, log_loss, recall_at_false_positives
from training.tsne import fit_tsne_grid

N_FOLDS = 5
N_NEIGHBOURS = 50
MAX_TSNE_OBJECTS = 2000
"""Largest number of objects for t-SNE, which takes a minute on more."""
TSNE_SEED = 0
MIN_OBJECTS_TO_COMPARE = 20
"""Least number of objects of each kind."""
_NONLENS = KINDS.index("nonlens")

FitStack = Callable[[LogitMargins, NDArray[np.integer]], SoftmaxStack]
Predict = Callable[[LogitMargins], NDArray[np.float64]]
"""Converts margins to p_lens `[object]`, for the mixture of kinds that it was fitted on."""

STACKS: Mapping[str, FitStack] = {"mean": fit_tied_stack, "stack": fit_stack}
"""Combiners that can be shipped: a calibrated mean of the networks' margins, and a logistic regression on all of them."""


class Comparison(Frozen):
    """Metrics of a combiner on objects that it was not fitted on."""

    combiner: str
    log_loss: float
    """Mean log loss of lens against non-lens, in nats per object."""
    auroc: float
    tpr_at_10_false_positives: float


def can_compare(kinds: NDArray[np.integer]) -> bool:
    """Return whether there are enough objects of every kind for each held-out part."""
    return int(np.bincount(kinds, minlength=len(KINDS)).min()) >= MIN_OBJECTS_TO_COMPARE


@dataclass(frozen=True)
class FittedCombiner:
    """The combiner to ship."""

    combiner: SoftmaxStack | MeanCombiner
    name: str | None
    """Name in `STACKS`; None if there are too few objects to fit one."""
    figures: dict[str, float]
    """`combiner_<name>_<figure>` of every compared combiner; empty if there are too few objects to compare."""


def fit_combiner(margins: LogitMargins, kinds: NDArray[np.integer]) -> FittedCombiner:
    """Fit the shippable combiner with the lowest cross-validated log loss to all of these objects."""
    if not can_stack(kinds):
        return FittedCombiner(MeanCombiner(kind="mean", networks=tuple(margins)), None, {})
    if not can_compare(kinds):
        return FittedCombiner(fit_stack(margins, kinds), "stack", {})
    compared = compare_combiners(margins, kinds, np.random.default_rng(0))
    figures = {
        f"combiner_{c.combiner}_{figure}": getattr(c, figure)
        for c in compared
        for figure in ("log_loss", "auroc", "tpr_at_10_false_positives")
    }
    best = best_stack(compared)
    return FittedCombiner(STACKS[best](margins, kinds), best, figures)


def compare_combiners(margins: LogitMargins, kinds: NDArray[np.integer], rng: np.random.Generator) -> tuple[Comparison, ...]:
    """Cross-validate the calibrated mean, the logistic stack, a vote of nearest neighbours, and OU-T-SNE's grid.

    Raises:
        ValueError: a fitted part has too few objects of a kind, which `can_compare` excludes in practice.
    """
    folds = rng.permutation(np.arange(len(kinds)) % N_FOLDS)
    fits: dict[str, Callable[[LogitMargins, NDArray[np.integer]], Predict]] = {
        **{name: _predict_by(fit) for name, fit in STACKS.items()},
        "neighbours": _neighbours,
        "tsne_grid": _tsne_grid,
    }
    return tuple(_compared(name, fit, margins, kinds, folds) for name, fit in fits.items())


def best_stack(compared: tuple[Comparison, ...]) -> str:
    """Return the name in `STACKS` of the combiner with the lowest log loss."""
    return min((c for c in compared if c.combiner in STACKS), key=lambda c: c.log_loss).combiner


def _compared(
    name: str,
    fit: Callable[[LogitMargins, NDArray[np.integer]], Predict],
    margins: LogitMargins,
    kinds: NDArray[np.integer],
    folds: NDArray[np.integer],
) -> Comparison:
    p = np.empty(len(kinds))
    for fold in range(N_FOLDS):
        kept, held_out = folds != fold, folds == fold
        predict = fit({n: values[kept] for n, values in margins.items()}, kinds[kept])
        p[held_out] = predict({n: values[held_out] for n, values in margins.items()})
    is_lens = kinds != _NONLENS
    tpr10 = recall_at_false_positives(p, is_lens, 10)
    loss, area = log_loss(p, is_lens), auroc(p, is_lens)
    return Comparison(combiner=name, log_loss=loss, auroc=area, tpr_at_10_false_positives=tpr10)


def _predict_by(fit: FitStack) -> Callable[[LogitMargins, NDArray[np.integer]], Predict]:
    def fitted(margins: LogitMargins, kinds: NDArray[np.integer]) -> Predict:
        stack = fit(margins, kinds)
        return lambda others: np.delete(stack.probabilities(others), _NONLENS, axis=1).sum(axis=1)

    return fitted


def _tsne_grid(margins: LogitMargins, kinds: NDArray[np.integer]) -> Predict:
    """Fit OU-T-SNE, with fractions softened as if each cell held one more lens and one more non-lens among a hundred."""
    names = tuple(margins)

    def outputs(given: LogitMargins) -> NDArray[np.float64]:
        return np.stack([lens_probability(given[name]) for name in names], axis=1)

    # Draw a random sample: objects lie in the order of their files, perhaps kind by kind.
    chosen = np.random.default_rng(TSNE_SEED).permutation(len(kinds))[:MAX_TSNE_OBJECTS]
    grid = fit_tsne_grid(outputs(margins)[chosen], (kinds != _NONLENS)[chosen], TSNE_SEED)
    return lambda others: (grid.predict(outputs(others)) * 98 + 1) / 100


def _neighbours(margins: LogitMargins, kinds: NDArray[np.integer]) -> Predict:
    """Fit the share of lenses among the nearest objects, plus one lens and one non-lens so that it is never 0 or 1."""

    def features(given: LogitMargins) -> NDArray[np.float64]:
        return np.concatenate([np.clip(given[name], -CLIP, CLIP) for name in margins], axis=1)

    model = KNeighborsClassifier(N_NEIGHBOURS).fit(features(margins), kinds != _NONLENS)
    return lambda others: (model.predict_proba(features(others))[:, -1] * N_NEIGHBOURS + 1) / (N_NEIGHBOURS + 2)
