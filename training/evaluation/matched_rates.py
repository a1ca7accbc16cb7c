"""Recall of each kind of lens where a small share of the non-lenses passes, so that ensembles compare at the same cost."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from infra.frozen import Frozen
from scanner.networks.nonlens_sample import NonLensTail
from scanner.purity import ValueWithInterval
from scanner.vocabulary.kinds import KINDS
from training.evaluation.metrics import recall_at_false_positives, recall_interval

MATCHED_RATES = (1e-2, 1e-3, 1e-4)
MIN_PASSING = 4
"""Smallest number of passing non-lenses for which a recall is given: with fewer, the next sample may have none, and the recall
has no lower limit (`training.evaluation.metrics.recall_interval`)."""
_NONLENSES = "matched_nonlenses_{}"
_NONLENSES_AT = f"{_NONLENSES}_at_{{:g}}"
_METRIC = "recall_{}_at_false_positives_{:g}"


class MatchedRecall(Frozen):
    """Recall of a kind of lens at a false-positive rate."""

    kind: str
    rate: float
    n_nonlenses: int
    """Number of non-lenses that set the threshold."""
    recall: ValueWithInterval | None
    """None if there are too few non-lenses."""

    @property
    def n_needed(self) -> int:
        """Number of non-lenses that the rate needs."""
        return round(MIN_PASSING / self.rate)


def matched_recalls(
    p: NDArray[np.floating], kinds: NDArray[np.str_], highest: NDArray[np.floating], n_nonlenses: int
) -> tuple[MatchedRecall, ...]:
    """Return the recall of each kind that is present, at each of `MATCHED_RATES`.

    Intervals hold what chance does to the threshold and to the lenses (`recall_interval`).

    Args:
        p: `[object]`.
        kinds: `[object]`.
        highest: Scores of non-lenses, in any order: all of them, or the highest.
        n_nonlenses: Number of all these non-lenses.
    """
    found = []
    for kind in KINDS[1:]:
        lenses = p[kinds == kind]
        if not len(lenses):
            continue
        both = np.concatenate([lenses, highest]).astype(np.float64)
        is_lens = np.arange(len(both)) < len(lenses)
        for rate in MATCHED_RATES:
            n_false = int(rate * n_nonlenses + 1e-9)
            recall = None
            # The interval looks at more non-lenses than pass; twice as many and a few are enough.
            if n_false >= MIN_PASSING and 2 * n_false + 10 <= len(highest):
                low, high = recall_interval(both, is_lens, n_false)
                recall = ValueWithInterval(value=recall_at_false_positives(both, is_lens, n_false), low=low, high=high)
            found.append(MatchedRecall(kind=kind, rate=rate, n_nonlenses=n_nonlenses, recall=recall))
    return tuple(found)


def matched_recalls_by_sample(
    p: NDArray[np.floating], kinds: NDArray[np.str_], others: NDArray[np.floating], sample: NonLensTail | None
) -> tuple[MatchedRecall, ...]:
    """Return `matched_recalls` by a sample that is larger than `others`, and by `others` where it stores too few scores.

    Args:
        p: `[object]`.
        kinds: `[object]`.
        others: Scores of all non-lenses of the evaluation.
        sample: Sample of the ensemble.
    """
    own = matched_recalls(p, kinds, others, len(others))
    if sample is None or sample.n <= len(others):
        return own
    by_sample = matched_recalls(p, kinds, sample.p_lens.astype(np.float64), sample.n)
    return tuple(_better(one, other) for one, other in zip(by_sample, own, strict=True))


def _better(by_sample: MatchedRecall, own: MatchedRecall) -> MatchedRecall:
    # Of two that have no recall, take one that has too few non-lenses: the text gives this as the reason.
    is_too_small = own.recall is None and by_sample.n_nonlenses < by_sample.n_needed
    return by_sample if by_sample.recall is not None or is_too_small else own


def matched_metrics(recalls: Sequence[MatchedRecall]) -> dict[str, float]:
    """Return the figures that a card keeps: recall and its limits by kind and rate, and the number of non-lenses.

    That number is the largest of all rates; rates with another number have one of their own.
    """
    figures: dict[str, float] = {}
    for of in recalls:
        name = _NONLENSES.format(of.kind)
        figures[name] = max(figures.get(name, 0.0), float(of.n_nonlenses))
    for of in recalls:
        if of.n_nonlenses != figures[_NONLENSES.format(of.kind)]:
            figures[_NONLENSES_AT.format(of.kind, of.rate)] = float(of.n_nonlenses)
        if of.recall is not None:
            name = _METRIC.format(of.kind, of.rate)
            figures |= {name: of.recall.value, f"{name}_low": of.recall.low, f"{name}_high": of.recall.high}
    return figures


def recalls_on_card(metrics: Mapping[str, float]) -> tuple[MatchedRecall, ...]:
    """Return the recalls among the metrics of a card, as `matched_metrics` names them; none if it has none."""
    found = []
    for kind in KINDS[1:]:
        n_most = metrics.get(_NONLENSES.format(kind))
        for rate in MATCHED_RATES if n_most is not None else ():
            n = metrics.get(_NONLENSES_AT.format(kind, rate), n_most)
            name = _METRIC.format(kind, rate)
            limits = {
                end: metrics.get(f"{name}{suffix}") for end, suffix in (("value", ""), ("low", "_low"), ("high", "_high"))
            }
            recall = ValueWithInterval.model_validate(limits) if None not in limits.values() else None
            found.append(MatchedRecall(kind=kind, rate=rate, n_nonlenses=int(n or 0), recall=recall))
    return tuple(found)
