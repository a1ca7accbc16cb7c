"""The population stability index: how far the histogram of a quantity has moved from a reference histogram.

With `p` and `q` the shares of the two histograms in each bin, the index is the sum of (p - q) ln(p / q), the symmetric
Kullback-Leibler divergence (Jeffreys 1946, Proc. R. Soc. A 186, 453). If both are draws of one population with `n` and `m`
objects, the index divided by (1/n + 1/m) follows a chi-squared distribution with one degree of freedom less than there are
bins (Yurdakul 2018, "Statistical Properties of Population Stability Index", Western Michigan University).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

EMPTY_BIN_COUNT = 0.5
"""Count that is added to every bin, so that an empty bin has a finite logarithm (Jeffreys' prior of shares)."""


class Stability(NamedTuple):
    """The stability index of two histograms, and what chance makes of it."""

    value: float
    expected: float
    """Mean of the index if both histograms are of one population."""
    p_chance: float
    """Probability of an index at least as large if both histograms are of one population."""


def stability(reference_counts: NDArray[np.integer], counts: NDArray[np.integer]) -> Stability:
    """Return the stability index of `counts [bin]` against `reference_counts [bin]`.

    Bins that are empty in both histograms do not count.

    Raises:
        ValueError: the shapes differ, a count is negative, or a histogram is empty.
    """
    if reference_counts.shape != counts.shape or counts.ndim != 1:
        raise ValueError(f"histograms must have the same bins, got shapes {reference_counts.shape} and {counts.shape}")
    if (reference_counts < 0).any() or (counts < 0).any():
        raise ValueError("counts must not be negative")
    n, m = int(reference_counts.sum()), int(counts.sum())
    if not n or not m:
        raise ValueError(f"both histograms must hold objects, got {n} and {m}")
    used = (reference_counts + counts) > 0
    p, q = _shares(counts[used]), _shares(reference_counts[used])
    index = float(np.sum((p - q) * np.log(p / q)))
    # Imported here, because scipy takes a third of a second.
    from scipy.stats import chi2

    scale, freedom = 1 / n + 1 / m, int(used.sum()) - 1
    p_chance = float(chi2.sf(index / scale, freedom)) if freedom else 1.0
    return Stability(index, freedom * scale, p_chance)


def _shares(counts: NDArray[np.integer]) -> NDArray[np.float64]:
    filled = counts + EMPTY_BIN_COUNT
    return np.asarray(filled / filled.sum(), dtype=np.float64)
