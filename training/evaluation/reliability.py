"""Reliability of `p_lens` over orders of magnitude: the fraction of lenses in bins of the logarithm, at natural prevalence."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from scanner.networks.nonlens_sample import NonLensTail
from scanner.purity import ValueWithInterval
from training.evaluation.metrics import binomial_interval

LEAST_P = 1e-5
BINS_PER_DEX = 3
EDGES = np.logspace(np.log10(LEAST_P), 0, 5 * BINS_PER_DEX + 1)


@dataclass(frozen=True)
class ReliabilityBin:
    """Objects whose `p_lens` lies in a bin; the highest bin holds its upper edge."""

    low: float
    high: float
    mean_p: float
    """Mean `p_lens` at the assumed prevalence; the geometric middle of an empty bin."""
    fraction: ValueWithInterval
    """Fraction of lenses at the assumed prevalence, with the 95 % interval of a binomial fraction (Wilson)."""
    n_lenses: int
    n_nonlenses: int


def reliability_bins(
    p_lens: NDArray[np.floating],
    is_lens: NDArray[np.bool_],
    prevalence: float,
    sample: NonLensTail | None = None,
    edges: NDArray[np.floating] = EDGES,
) -> tuple[ReliabilityBin, ...]:
    """Return the bins of `p_lens`.

    The share of lenses among the counted objects of a bin is a binomial fraction; its odds, and those of its limits, are moved
    from the mixture that was counted to the prevalence.

    Args:
        p_lens: `[object]`, which assumes `prevalence`.
        is_lens: `[object]`.
        prevalence: Fraction of lenses to weight the objects to.
        sample: Sample of non-lenses, which takes the place of those here in the bins that it holds whole, if it is larger.
        edges: Edges of the bins, ascending.
    """
    p = np.asarray(p_lens, np.float64)
    found = []
    for low, high in pairwise(edges.tolist()):
        others, n_others = p[~is_lens], int(np.sum(~is_lens))
        if sample is not None and sample.n > n_others and sample.least <= low:
            others, n_others = sample.p_lens.astype(np.float64), sample.n
        below = np.less_equal if high == edges[-1] else np.less
        inside = [of[(of >= low) & below(of, high)] for of in (p[is_lens], others)]
        weights = prevalence / max(int(is_lens.sum()), 1), (1 - prevalence) / max(n_others, 1)
        found.append(_bin(low, high, inside[0], inside[1], weights))
    return tuple(found)


def _bin(
    low: float, high: float, lenses: NDArray[np.float64], others: NDArray[np.float64], weights: tuple[float, float]
) -> ReliabilityBin:
    """Return a bin; `weights` are those of a lens and of another object."""
    n_lenses, n_others = len(lenses), len(others)
    total = weights[0] * n_lenses + weights[1] * n_others
    mean = (weights[0] * lenses.sum() + weights[1] * others.sum()) / total if total else float(np.sqrt(low * high))
    counted = n_lenses / (n_lenses + n_others) if total else 0.0
    value, least, most = (
        weights[0] * share / (weights[0] * share + weights[1] * (1 - share))
        for share in (counted, *binomial_interval(n_lenses, n_lenses + n_others))
    )
    fraction = ValueWithInterval(value=value, low=min(least, value), high=max(most, value))
    return ReliabilityBin(low, high, float(mean), fraction, n_lenses, n_others)
