"""How well probabilities tell lenses from the rest (Wilde et al. 2022, section 4)."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from scanner.pixels.shards import KINDS

F_BETA = 0.03
"""Weighs precision far above recall, as the lens challenge did."""
THRESHOLD = 0.5
N_BOOTSTRAP = 200


def auroc(p_lens: NDArray[np.floating], is_lens: NDArray[np.bool_]) -> float:
    """Probability that a random lens scores above a random non-lens, ties counting half (Mann-Whitney).

    Raises:
        ValueError: a class is absent.
    """
    n_lens = int(is_lens.sum())
    n_other = len(is_lens) - n_lens
    if n_lens == 0 or n_other == 0:
        raise ValueError(f"AUROC needs both classes, got {n_lens} lenses and {n_other} non-lenses")
    ranks = rankdata(p_lens)
    return float((ranks[is_lens].sum() - n_lens * (n_lens + 1) / 2) / (n_lens * n_other))


def auroc_interval(p_lens: NDArray[np.floating], is_lens: NDArray[np.bool_], rng: np.random.Generator) -> tuple[float, float]:
    """95 % interval of the AUROC from bootstrap resamples of lenses and of non-lenses."""
    lenses, others = np.flatnonzero(is_lens), np.flatnonzero(~is_lens)
    values = []
    for _ in range(N_BOOTSTRAP):
        rows = np.concatenate([rng.choice(lenses, len(lenses)), rng.choice(others, len(others))])
        values.append(auroc(p_lens[rows], is_lens[rows]))
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def f_beta(precision: float, recall: float, beta: float = F_BETA) -> float:
    """(1 + b^2) P R / (b^2 P + R), 0 where both are 0 (Wilde et al. 2022, section 4)."""
    denominator = beta**2 * precision + recall
    return (1 + beta**2) * precision * recall / denominator if denominator > 0 else 0.0


def metrics(p_lens: NDArray[np.floating], kinds: NDArray[np.integer], rng: np.random.Generator) -> dict[str, float]:
    """Every figure of the card.

    Args:
        p_lens: `[object]`.
        kinds: `[object]`, index into `KINDS`.
        rng: For the bootstrap interval of the AUROC.

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
    low, high = auroc_interval(p_lens, is_lens, rng)
    found = {
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
            found[key] = float(called[chosen].mean())
    return found


def max_f_beta(p_lens: NDArray[np.floating], is_lens: NDArray[np.bool_]) -> float:
    """The largest F_beta that any threshold reaches."""
    order = np.argsort(-p_lens, kind="stable")
    true = np.cumsum(is_lens[order])
    called = np.arange(1, len(order) + 1)
    # A threshold can only lie between different probabilities.
    ends = np.append(np.diff(p_lens[order]) != 0, True)
    precision, recall = true[ends] / called[ends], true[ends] / max(int(is_lens.sum()), 1)
    return max(f_beta(float(p), float(r)) for p, r in zip(precision, recall, strict=True))
