"""Metrics of how well probabilities separate lenses from other objects (Wilde et al. 2022, section 4).

All functions take `p_lens` and `is_lens` as `[object]`.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, gamma, poisson, rankdata

from scanner.purity import ValueWithInterval
from scanner.vocabulary.kinds import KINDS

F_BETA = 0.03
"""Beta of the F score: it weights precision far above recall, as in the lens challenge."""
THRESHOLD = 0.5
N_BOOTSTRAP = 1000
LEAST_LIKELIHOOD = 1e-12


def auroc(p_lens: NDArray[np.floating], is_lens: NDArray[np.bool_]) -> float:
    """Return the probability that a random lens scores above a random non-lens, ties counting half (Mann-Whitney).

    Raises:
        ValueError: a class is absent.
    """
    n_lens = int(is_lens.sum())
    n_other = len(is_lens) - n_lens
    if n_lens == 0 or n_other == 0:
        raise ValueError(f"AUROC needs both classes, got {n_lens} lenses and {n_other} non-lenses")
    ranks = rankdata(p_lens)
    return float((ranks[is_lens].sum() - n_lens * (n_lens + 1) / 2) / (n_lens * n_other))


def log_loss(p_lens: NDArray[np.floating], is_lens: NDArray[np.bool_]) -> float:
    """Return the mean log loss in nats per object: minus the logarithm of the probability of the true class.

    That probability counts as `LEAST_LIKELIHOOD` at least: one object that is certainly wrong must not make the loss infinite.
    """
    likelihood = np.where(is_lens, p_lens, 1 - p_lens)
    return float(-np.log(np.maximum(likelihood, LEAST_LIKELIHOOD)).mean())


def interval(
    statistic: Callable[[NDArray[np.floating], NDArray[np.bool_]], float],
    p_lens: NDArray[np.floating],
    is_lens: NDArray[np.bool_],
    rng: np.random.Generator,
) -> tuple[float, float]:
    """Return the 95 % interval of a statistic from bootstrap resamples of lenses and of non-lenses (percentiles).

    Use `recall_interval` for a statistic that depends on the highest few non-lenses, and `reflected_interval` for one that
    grows with the noise.
    """
    lenses, others = np.flatnonzero(is_lens), np.flatnonzero(~is_lens)
    values = []
    for _ in range(N_BOOTSTRAP):
        rows = np.concatenate([rng.choice(lenses, len(lenses)), rng.choice(others, len(others))])
        values.append(statistic(p_lens[rows], is_lens[rows]))
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def reflected_interval(
    statistic: Callable[[NDArray[np.floating], NDArray[np.bool_]], float],
    p_lens: NDArray[np.floating],
    is_lens: NDArray[np.bool_],
    rng: np.random.Generator,
) -> tuple[float, float]:
    """Return the 95 % basic bootstrap interval of a statistic >= 0 that noise only raises.

    Resamples carry the noise twice and exceed the value somewhat as the value exceeds the truth, so their percentiles are
    mirrored at the value, and cut at 0 (Davison & Hinkley 1997, equation 5.6). The interval may lie below the value. Near 0
    mirroring corrects only a part: for perfectly calibrated ensembles, half the intervals of the calibration error reach 0,
    while percentile intervals never do.
    """
    value = statistic(p_lens, is_lens)
    low, high = interval(statistic, p_lens, is_lens, rng)
    return max(0.0, 2 * value - high), max(0.0, 2 * value - low)


def binomial_interval(n_chosen: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a fraction (Wilson 1927)."""
    if n == 0:
        return 0.0, 1.0
    limits = binomtest(n_chosen, n).proportion_ci(method="wilson")
    return float(limits.low), float(limits.high)


def share_with_interval(chosen: NDArray[np.bool_]) -> ValueWithInterval:
    """Return the share of the chosen among objects, `[object]`, with its 95 % interval."""
    low, high = binomial_interval(int(chosen.sum()), len(chosen))
    return ValueWithInterval(value=float(chosen.mean()), low=low, high=high)


def with_interval(value: float, ends: tuple[float, float]) -> ValueWithInterval:
    """Return a value with the lower and the upper end of its interval."""
    return ValueWithInterval(value=value, low=ends[0], high=ends[1])


def threshold_at_false_positives(p_lens: NDArray[np.floating], is_lens: NDArray[np.bool_], n_false: int) -> float:
    """Return the lowest p that at most `n_false` non-lenses exceed; -inf if `n_false` covers all non-lenses."""
    others = np.sort(p_lens[~is_lens])[::-1]
    return float(others[n_false]) if n_false < len(others) else -np.inf


def threshold_at_rate(p_lens: NDArray[np.floating], is_lens: NDArray[np.bool_], rate: float) -> float:
    """Return the lowest p that at most a fraction `rate` of the non-lenses exceeds."""
    return threshold_at_false_positives(p_lens, is_lens, int(rate * np.sum(~is_lens) + 1e-9))


def recall_at_false_positives(p_lens: NDArray[np.floating], is_lens: NDArray[np.bool_], n_false: int) -> float:
    """Return the fraction of lenses found before the `n_false` + 1st non-lens (Metcalf et al. 2019: TPR0, TPR10)."""
    return float((p_lens[is_lens] > threshold_at_false_positives(p_lens, is_lens, n_false)).mean())


def recall_interval(p_lens: NDArray[np.floating], is_lens: NDArray[np.bool_], n_false: int) -> tuple[float, float]:
    """Return a rather wide 95 % interval of the recall that `recall_at_false_positives` estimates.

    It is the recall at the threshold above which half of all samples have at most `n_false` non-lenses. The number of
    non-lenses above is Poisson distributed around the median of Gamma(n_false + 1), so for `n_false` = 10 the threshold lies
    between the 5th and the 19th highest. The recalls there are widened by Wilson's interval. If the number may be 0
    (`n_false` < 4) the lower limit is 0, because a sample does not show how high the next non-lens would score: a bootstrap
    draws no non-lens above the highest and gives a limit without basis.
    """
    fewest, most = poisson.interval(0.95, gamma.median(n_false + 1))
    low, high = (
        binomial_interval(int(np.sum(p_lens[is_lens] > threshold_at_false_positives(p_lens, is_lens, n))), int(is_lens.sum()))
        for n in (max(int(fewest) - 1, 0), int(most))
    )
    return low[0] if fewest else 0.0, high[1]


def roc_curve(p_lens: NDArray[np.floating], is_lens: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the numbers of lenses and of non-lenses at or above each distinct p, the highest first: `[threshold]` each."""
    order = np.argsort(-p_lens, kind="stable")
    # A threshold can only lie between different probabilities.
    ends = np.append(np.diff(p_lens[order]) != 0, True)
    return np.cumsum(is_lens[order])[ends], np.cumsum(~is_lens[order])[ends]


def max_f_beta(p_lens: NDArray[np.floating], is_lens: NDArray[np.bool_], beta: float = F_BETA) -> float:
    """Return the largest `f_beta` of all thresholds, from counts: (1 + b^2) TP / (b^2 (TP + FN) + TP + FP)."""
    true, false = roc_curve(p_lens, is_lens)
    return float(np.max((1 + beta**2) * true / (beta**2 * is_lens.sum() + true + false)))


def f_beta(precision: float, recall: float, beta: float = F_BETA) -> float:
    """Return (1 + b^2) P R / (b^2 P + R), or 0 if both are 0 (Wilde et al. 2022, section 4)."""
    denominator = beta**2 * precision + recall
    return (1 + beta**2) * precision * recall / denominator if denominator > 0 else 0.0


def metrics(p_lens: NDArray[np.floating], kinds: NDArray[np.integer], rng: np.random.Generator) -> dict[str, float]:
    """Return all metrics that a card states for one network or ensemble.

    Args:
        p_lens: `[object]`.
        kinds: `[object]`, index into `KINDS`.
        rng: Generator for the bootstrap interval of the AUROC.

    Returns:
        AUROC with its 95 % interval, accuracy, precision, recall, F_beta at p = 0.5, the largest F_beta over all
        thresholds, and the recall of each kind present (for non-lenses: the fraction called lenses).

    Raises:
        ValueError: a class is absent.
    """
    is_lens = kinds != KINDS.index("nonlens")
    called = p_lens >= THRESHOLD
    precision = float(is_lens[called].mean()) if called.any() else 0.0
    recall = float(called[is_lens].mean())
    area = auroc(p_lens, is_lens)
    low, high = interval(auroc, p_lens, is_lens, rng)
    figures = {
        "auroc": area,
        "auroc_low": low,
        "auroc_high": high,
        "accuracy": float((called == is_lens).mean()),
        "precision": precision,
        "recall": recall,
        "f_beta": f_beta(precision, recall),
        "f_beta_max": max_f_beta(p_lens, is_lens),
    }
    for index, kind in enumerate(KINDS):
        chosen = kinds == index
        if chosen.any():
            key = "false_positive_rate" if kind == "nonlens" else f"recall_{kind}"
            figures[key] = float(called[chosen].mean())
    return figures
