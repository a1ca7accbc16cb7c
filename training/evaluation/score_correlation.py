"""Correlation of the scores of two networks: members of an ensemble that agree on every non-lens add nothing to each other."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from infra.frozen import Frozen
from scanner.purity import ValueWithInterval

MIN_OBJECTS = 20
_METRIC = "spearman_{}_{}_{}"
_GROUPS = ("lenses", "nonlenses")


class ScoreCorrelation(Frozen):
    """Spearman's rank correlation of the log-odds of two networks, over the objects that both looked at."""

    networks: tuple[str, str]
    lenses: ValueWithInterval | None
    """None for fewer than 20 such objects, or if a network gives all of them one score."""
    nonlenses: ValueWithInterval | None
    n_lenses: int
    n_nonlenses: int


def score_correlations(scores: Mapping[str, NDArray[np.floating]], is_lens: NDArray[np.bool_]) -> tuple[ScoreCorrelation, ...]:
    """Return the correlation of each pair of networks, apart for lenses and for non-lenses.

    Lenses and non-lenses together would correlate in any two networks that work.

    Args:
        scores: Network name to `[object]`: probability or logit margin, whose ranks are the same; NaN where the network did not
            look at the object.
        is_lens: `[object]`.
    """
    found = []
    for first, second in combinations(scores, 2):
        seen = np.isfinite(scores[first]) & np.isfinite(scores[second])
        of = [_correlation(scores[first][seen & rows], scores[second][seen & rows]) for rows in (is_lens, ~is_lens)]
        n = [int(np.sum(seen & rows)) for rows in (is_lens, ~is_lens)]
        found.append(ScoreCorrelation(networks=(first, second), lenses=of[0], nonlenses=of[1], n_lenses=n[0], n_nonlenses=n[1]))
    return tuple(found)


def _correlation(a: NDArray[np.floating], b: NDArray[np.floating]) -> ValueWithInterval | None:
    """Return the correlation with its interval: Fisher's z with the variance of Bonett & Wright (2000)."""
    if len(a) < MIN_OBJECTS or len(np.unique(a)) < 2 or len(np.unique(b)) < 2:
        return None
    rho = float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])
    z, error = np.arctanh(np.clip(rho, -1 + 1e-12, 1 - 1e-12)), np.sqrt((1 + rho**2 / 2) / (len(a) - 3))
    low, high = np.tanh([z - 1.96 * error, z + 1.96 * error])
    return ValueWithInterval(value=rho, low=min(float(low), rho), high=max(float(high), rho))


def correlation_metrics(correlations: Sequence[ScoreCorrelation]) -> dict[str, float]:
    """Return the figures that a card keeps: `spearman_lenses_<network>_<network>`, and the same of the non-lenses."""
    figures = {}
    for of in correlations:
        for group, measured in zip(_GROUPS, (of.lenses, of.nonlenses), strict=True):
            if measured is not None:
                figures[_METRIC.format(group, *of.networks)] = measured.value
    return figures


def correlations_on_card(metrics: Mapping[str, float], networks: Sequence[str]) -> list[tuple[str, str, str]]:
    """Return `(pair, lenses, nonlenses)` as texts of the correlations among the metrics of a card; none if it has none."""
    rows = []
    for pair in combinations(networks, 2):
        found = [metrics.get(_METRIC.format(group, *pair)) for group in _GROUPS]
        if any(value is not None for value in found):
            texts = ["-" if value is None else f"{value:.2f}" for value in found]
            rows.append((" and ".join(pair), texts[0], texts[1]))
    return rows
