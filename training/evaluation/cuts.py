"""Cuts in `p_lens`: recall, purity and numbers to inspect at the assumed prevalence, with intervals."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scanner.purity import Cut
from training.evaluation.metrics import share_with_interval, with_interval
from training.evaluation.natural_mix import natural_recall

CUTS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.5, 0.9)
"""Thresholds of p_lens for which purity is given."""


def measured_cuts(
    p: NDArray[np.floating],
    kinds: NDArray[np.str_],
    prevalence: float,
    own_cuts: Sequence[float],
    compound_share: float | None,
) -> tuple[Cut, ...]:
    """Return all cuts, ascending, with the recall of a natural mix of lenses if its share of compound ones is known.

    The ensemble's own cuts are among them, so that their lists have an expected purity.
    """
    cuts = [cut_at(p, kinds != "nonlens", prevalence, threshold) for threshold in sorted({*CUTS, *own_cuts})]
    if compound_share is None:
        return tuple(cuts)
    return tuple(
        cut.model_copy(update={"natural_recall": natural_recall(p >= cut.p_lens, kinds, compound_share)}) for cut in cuts
    )


def cut_at(p: NDArray[np.floating], is_lens: NDArray[np.bool_], prevalence: float, threshold: float) -> Cut:
    """Return a cut; its purity and number to inspect range from worst to best within the intervals of both rates."""
    is_above = p >= threshold
    recall, false_rate = share_with_interval(is_above[is_lens]), share_with_interval(is_above[~is_lens])

    def per_million(of_lenses: float, of_others: float) -> float:
        return 1e6 * (prevalence * of_lenses + (1 - prevalence) * of_others)

    def purity(recall: float, false_rate: float) -> float:
        return per_million(recall, 0) / per_million(recall, false_rate)

    is_reached, to_inspect = bool(is_above.any()), per_million(recall.value, false_rate.value)
    worst_and_best = purity(recall.low, false_rate.high), purity(recall.high, false_rate.low)
    fewest_and_most = per_million(recall.low, false_rate.low), per_million(recall.high, false_rate.high)
    expected_lenses = per_million(*(float(np.mean((p * is_above)[rows])) for rows in (is_lens, ~is_lens)))
    return Cut(
        p_lens=threshold,
        n_false_positives=int(is_above[~is_lens].sum()),
        recall=recall,
        purity=with_interval(purity(recall.value, false_rate.value), worst_and_best) if is_reached else None,
        expected_purity=expected_lenses / to_inspect if is_reached else None,
        to_inspect_per_million=with_interval(to_inspect, fewest_and_most),
    )
