"""Say how many lenses and contaminants the lists of a night above some cuts in `p_lens` should hold."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from infra.frozen import Frozen
from scanner.purity import PurityTable, ValueWithInterval

_TAILS = (0.025, 0.975)


class Content(Frozen):
    """Expected content of a list that a night holds, with 95 % intervals for this list, not for lists like it on average."""

    n_lenses: ValueWithInterval
    n_contaminants: ValueWithInterval
    inspected_per_lens: float | None
    """Objects of the list over its expected lenses; None if none are expected."""
    inspected_per_lens_low: float
    inspected_per_lens_high: float | None
    """None where the list may hold no lens."""


class NightList(Frozen):
    """The list of all objects of a night at or above a cut."""

    p_lens: float
    n_listed: int
    n_foreseen: ValueWithInterval
    """Length that the evaluation foretells at the stated prevalence, with chance; if it is another, the mixture is another."""
    at_stated: Content
    """Content at the prevalence that `p_lens` assumes."""
    at_estimated: Content
    """Content at the prevalence that the scores of the night tell."""


def night_list(p_lens: float, n_listed: int, n_scored: int, purity: PurityTable, estimated: ValueWithInterval) -> NightList:
    """Return what a list should hold.

    Args:
        p_lens: The cut.
        n_listed: Number of objects of the night at or above the cut.
        n_scored: Number of scored objects of the night.
        purity: Evaluation of the ensemble.
        estimated: Fraction of lenses among the scored objects, with its interval.

    Raises:
        ValueError: the cut lies below the lowest that was evaluated.
    """
    foreseen = purity.expected(p_lens, n_scored).n_candidates
    recall = purity.recall(p_lens)
    stated = ValueWithInterval(value=purity.prevalence, low=purity.prevalence, high=purity.prevalence)
    return NightList(
        p_lens=p_lens,
        n_listed=n_listed,
        n_foreseen=with_chance(foreseen),
        at_stated=list_content(n_listed, _product(n_scored, stated, recall)),
        at_estimated=list_content(n_listed, _product(n_scored, estimated, recall)),
    )


def list_content(n_listed: int, n_lenses: ValueWithInterval) -> Content:
    """Return the content of a list of known length, if lenses reach the cut at a rate that is known within an interval.

    Lenses are as many as chance makes them: Poisson, but no more than the list is long. This is what the length tells if
    nothing is known of the number of contaminants, which differs from field to field, unlike the share of lenses found.

    Args:
        n_listed: Length of the list.
        n_lenses: Expected lenses of all fields like this one at or above the cut: prevalence x objects x recall.
    """
    value = _mean(n_lenses.value, n_listed)
    low = min(_quantile(n_lenses.low, n_listed, _TAILS[0]), value)
    high = max(_quantile(n_lenses.high, n_listed, _TAILS[1]), value)
    return Content(
        n_lenses=ValueWithInterval(value=value, low=low, high=high),
        n_contaminants=ValueWithInterval(value=n_listed - value, low=n_listed - high, high=n_listed - low),
        inspected_per_lens=n_listed / value if value > 0 else None,
        inspected_per_lens_low=n_listed / high if high > 0 else 1.0,
        inspected_per_lens_high=n_listed / low if low > 0 else None,
    )


def with_chance(expected: ValueWithInterval) -> ValueWithInterval:
    """Widen the interval of an expected number to that of a number that chance draws around it (Poisson)."""
    from scipy.stats import poisson

    low, high = poisson.ppf(_TAILS[0], expected.low), poisson.ppf(_TAILS[1], expected.high)
    return ValueWithInterval(value=expected.value, low=min(float(low), expected.value), high=max(float(high), expected.value))


def counts_at(p_lens: NDArray[np.floating], cuts: Sequence[float]) -> list[int]:
    """Return the number of objects at or above each cut, as the float32 of the catalogue compares with it."""
    ascending = np.sort(np.asarray(p_lens, np.float32))
    return [int(len(ascending) - np.searchsorted(ascending, np.float32(cut), side="left")) for cut in cuts]


def _product(n: int, prevalence: ValueWithInterval, recall: ValueWithInterval) -> ValueWithInterval:
    value, low, high = (n * getattr(prevalence, end) * getattr(recall, end) for end in ("value", "low", "high"))
    return ValueWithInterval(value=value, low=low, high=high)


def _mean(rate: float, most: int) -> float:
    """Return the mean of a Poisson number of this rate that is at most `most`."""
    return float(_weights(rate, most) @ np.arange(most + 1)) if _is_limited(rate, most) else rate


def _quantile(rate: float, most: int, share: float) -> float:
    """Return the smallest number that a share of the Poisson numbers of this rate up to `most` does not exceed."""
    from scipy.stats import poisson

    if not _is_limited(rate, most):
        return float(poisson.ppf(share, rate))
    return float(min(int(np.searchsorted(np.cumsum(_weights(rate, most)), share)), most))


def _is_limited(rate: float, most: int) -> bool:
    """Return whether the limit matters: beyond ten standard deviations, and a few for small rates, it does not."""
    return most < rate + 10 * np.sqrt(rate) + 20


def _weights(rate: float, most: int) -> NDArray[np.float64]:
    """Return the probabilities of 0 to `most`, `[most + 1]`, of a Poisson number that is at most `most`."""
    from scipy.special import softmax
    from scipy.stats import poisson

    return np.asarray(softmax(poisson.logpmf(np.arange(most + 1), rate)))
