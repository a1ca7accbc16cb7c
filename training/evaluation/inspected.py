"""The number of objects that people inspect for each lens that they find: the work that an ensemble makes."""

import numpy as np
from numpy.typing import NDArray

from scanner.purity import ValueWithInterval
from training.evaluation.metrics import binomial_interval

SHARES_FOUND = (0.5, 0.75)
"""Shares of the lenses at which the work for each lens is measured."""


def inspected_per_lens(
    lenses: NDArray[np.floating], highest: NDArray[np.floating], n_nonlenses: int, prevalence: float, share: float
) -> ValueWithInterval:
    """Return the number of objects at or above the threshold that a share of the lenses reaches, per lens there.

    The limits are those of Wilson's intervals of both rates, worst and best together.

    Args:
        lenses: `p_lens` of lenses, `[lens]`.
        highest: `p_lens` of non-lenses, in any order: all of them, or the highest.
        n_nonlenses: Number of all these non-lenses.
        prevalence: Fraction of lenses among the objects to inspect.
        share: Share of the lenses that is found.
    """
    threshold = threshold_of_share(lenses, share)
    n_found, n_false = int(np.sum(lenses >= threshold)), int(np.sum(highest >= threshold))
    odds = (1 - prevalence) / prevalence
    found_low, found_high = binomial_interval(n_found, len(lenses))
    false_low, false_high = binomial_interval(n_false, n_nonlenses)
    value = 1 + odds * (n_false / n_nonlenses) / (n_found / len(lenses))
    low, high = 1 + odds * false_low / found_high, 1 + odds * false_high / found_low
    return ValueWithInterval(value=value, low=min(low, value), high=max(high, value))


def threshold_of_share(lenses: NDArray[np.floating], share: float) -> float:
    """Return the highest threshold that at least this share of lenses, `[lens]`, reaches."""
    ranked = np.sort(lenses)[::-1]
    return float(ranked[min(int(np.ceil(share * len(ranked))), len(ranked)) - 1])
