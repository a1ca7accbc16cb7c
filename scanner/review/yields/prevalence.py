"""Estimate the fraction of lenses among the scored objects of a night from their scores alone.

If `p_lens` is calibrated at an assumed fraction, its odds over those of the fraction are the likelihood ratio r of an object:
density of its scores among lenses over that among other objects. At a fraction f the night has the log-likelihood
sum ln(1 + f (r - 1)) and a constant (Saerens, Latinne & Decaestecker 2002, whose EM algorithm climbs to the same maximum).
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from infra.frozen import Frozen
from scanner.networks.log_odds import log_odds
from scanner.purity import ValueWithInterval

_FALL = 1.920729
"""Fall of the log-likelihood from its maximum at the limits of a 95 % interval: half of the 0.95 quantile of chi squared."""
_N_HALVINGS = 100


class NightPrevalence(Frozen):
    """The fraction of lenses among the scored objects of a night, by maximum likelihood."""

    n_objects: int
    fraction: ValueWithInterval
    """The fraction with its 95 % interval, where the log-likelihood falls by 1.92. It counts chance alone: it holds if
    `p_lens` is calibrated for the objects of this night."""

    @property
    def is_above_zero(self) -> bool:
        """Whether the scores tell the fraction from zero."""
        return self.fraction.low > 0


def night_prevalence(p_lens: NDArray[np.floating], assumed: float) -> NightPrevalence:
    """Estimate the fraction of lenses of a night.

    Args:
        p_lens: `[object]`, of all scored objects, not only of candidates.
        assumed: Fraction of lenses that `p_lens` assumes.

    Raises:
        ValueError: there are no objects, `assumed` is not between 0 and 1, or a probability is not in [0, 1].
    """
    if not 0 < assumed < 1:
        raise ValueError(f"assumed must lie between 0 and 1, both excluded, got {assumed:g}")
    if not len(p_lens) or not (np.min(p_lens) >= 0 and np.max(p_lens) <= 1):
        raise ValueError(f"p_lens must hold probabilities of at least one object, got {len(p_lens)} values")
    # Objects with the same score have the same likelihood ratio, and rounded scores repeat.
    scores, n = np.unique(np.asarray(p_lens, np.float64), return_counts=True)
    excess = np.expm1(np.clip(log_odds(scores) - np.log(assumed / (1 - assumed)), None, 700))

    def log_likelihood(fraction: float) -> float:
        return float(n @ np.log1p(fraction * excess)) if fraction < 1 else float(n @ np.log(np.maximum(1 + excess, 1e-300)))

    def slope(fraction: float) -> float:
        return float(n @ (excess / np.maximum(1 + fraction * excess, 1e-300)))

    best = _root(slope, 0.0, 1.0)
    limit = log_likelihood(best) - _FALL
    low = _root(lambda f: limit - log_likelihood(f), 0.0, best) if log_likelihood(0.0) < limit else 0.0
    high = _root(lambda f: log_likelihood(f) - limit, best, 1.0)
    return NightPrevalence(n_objects=len(p_lens), fraction=ValueWithInterval(value=best, low=low, high=high))


def with_natural_kinds(
    p_lens: NDArray[np.floating], p_compound: NDArray[np.floating], counted: float, natural: float
) -> NDArray[np.float64]:
    """Return the probability of a lens `[object]` if another share of the lenses is compound.

    A lens is as likely to look like the object as the mix of kinds makes it. With b and a the likelihood ratios of compound and
    single lenses, `p_lens` knows (1 - c) a + c b, `p_compound` knows s b / ((1 - s) a + s b), and they tell (1 - s) a + s b.

    Args:
        p_lens: `[object]`.
        p_compound: `[object]`, which assumes the share `natural`.
        counted: Share c of compound lenses among those that `p_lens` counts.
        natural: Share s of compound lenses to count.
    """
    p = np.clip(np.asarray(p_lens, np.float64), 0.0, 1.0)
    given_lens = np.clip(np.asarray(p_compound, np.float64) / np.maximum(p, 1e-300), 0.0, 1.0)
    factor = (1 - counted) * (1 - given_lens) / (1 - natural) + counted * given_lens / natural
    return np.asarray(p / (p + (1 - p) * factor))


def _root(falling: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function falls through 0 between `low` and `high`; the end beyond which it does so if not between."""
    if falling(low) <= 0:
        return low
    if falling(high) >= 0:
        return high
    for _ in range(_N_HALVINGS):
        middle = (low + high) / 2
        if not low < middle < high or high - low < 1e-9 * high:
            break
        if falling(middle) > 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2
