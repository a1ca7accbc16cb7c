"""Recall of lenses among which compound ones are as rare as on the sky; the simulated mix has many, which score higher."""

import numpy as np
from numpy.typing import NDArray

from scanner.purity import ValueWithInterval
from training.evaluation.metrics import binomial_interval


def natural_recall(is_above: NDArray[np.bool_], kinds: NDArray[np.str_], compound_share: float) -> ValueWithInterval | None:
    """Return the recall of single and compound lenses, weighted to this share of compound ones; None if a kind is missing.

    The limits are those of Wilson's intervals of both, worst and best together.

    Args:
        is_above: `[object]`: whether the object reaches the cut.
        kinds: `[object]`.
        compound_share: Fraction of the lenses that are compound.
    """
    is_single = kinds == "single"
    weighted = []
    for weight, rows in ((1 - compound_share, is_single), (compound_share, (kinds != "nonlens") & ~is_single)):
        if not rows.any():
            return None
        limits = binomial_interval(int(is_above[rows].sum()), int(rows.sum()))
        weighted.append(weight * np.array([is_above[rows].mean(), *limits]))
    value, low, high = np.sum(weighted, axis=0).tolist()
    return ValueWithInterval(value=value, low=low, high=high)
