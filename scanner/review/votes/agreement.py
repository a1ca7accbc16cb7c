"""Agreement of graders: Krippendorff's alpha, by coincidences of values (Krippendorff 2011, "Computing alpha-reliability").

Alpha is 1 where graders always agree, 0 where they agree as often as by chance, and negative where they agree less often.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Metric = Literal["nominal", "ordinal"]
N_BOOTSTRAPS = 1000
_ROWS_AT_A_TIME = 64
"""Number of bootstrap samples that are in memory at once."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """Alpha with a 95 % interval; NaN where it is not defined, because all values are the same or no unit has two."""

    alpha: float
    low: float
    high: float
    n_units: int
    """Number of units with at least two values."""


def alpha(ratings: NDArray[np.int64], metric: Metric, n_values: int) -> float:
    """Return Krippendorff's alpha; NaN where it is not defined.

    Args:
        ratings: Values `[unit, grader]` from 0 to `n_values - 1`; -1 where a grader gave none.
        metric: `nominal` if any two values are equally different, `ordinal` if values are ranks.
        n_values: Number of values.
    """
    return float(_alphas(_coincidences(ratings, n_values).sum(0)[None], metric)[0])


def agreement(
    ratings: NDArray[np.int64], metric: Metric, n_values: int, rng: np.random.Generator, n_bootstraps: int = N_BOOTSTRAPS
) -> Agreement:
    """Return alpha with the 95 % interval of a bootstrap over units; arguments as for `alpha`."""
    of_units = _coincidences(ratings, n_values)
    n_units = len(of_units)
    if not n_units:
        return Agreement(np.nan, np.nan, np.nan, 0)
    flat, found = of_units.reshape(n_units, -1), []
    for start in range(0, n_bootstraps, _ROWS_AT_A_TIME):
        n_rows = min(_ROWS_AT_A_TIME, n_bootstraps - start)
        weights = rng.multinomial(n_units, np.full(n_units, 1 / n_units), n_rows).astype(np.float64)
        found.append(_alphas((weights @ flat).reshape(n_rows, n_values, n_values), metric))
    defined = np.concatenate(found)
    defined = defined[np.isfinite(defined)]
    low, high = np.quantile(defined, [0.025, 0.975]) if len(defined) else (np.nan, np.nan)
    return Agreement(float(_alphas(of_units.sum(0)[None], metric)[0]), float(low), float(high), n_units)


def _coincidences(ratings: NDArray[np.int64], n_values: int) -> Floats:
    """Return the coincidence matrix `[unit, value, value]` of each unit with at least two values.

    Each pair of values of different graders counts 1 / (number of the unit's values - 1).
    """
    counts = np.stack([(ratings == value).sum(1) for value in range(n_values)], 1).astype(np.float64)
    counts = counts[counts.sum(1) >= 2]
    pairs = counts[:, :, None] * counts[:, None, :]
    diagonal = np.arange(n_values)
    pairs[:, diagonal, diagonal] -= counts
    return pairs / (counts.sum(1) - 1)[:, None, None]


def _alphas(coincidences: Floats, metric: Metric) -> Floats:
    """Return alpha for each coincidence matrix of `[matrix, value, value]`."""
    n_of_value = coincidences.sum(2)
    n = n_of_value.sum(1)
    difference = _differences(n_of_value, metric)
    expected = (n_of_value[:, :, None] * n_of_value[:, None, :] * difference).sum((1, 2))
    observed = (coincidences * difference).sum((1, 2))
    defined = expected > 0
    return np.where(defined, 1 - (n - 1) * observed / np.where(defined, expected, 1), np.nan)


def _differences(n_of_value: Floats, metric: Metric) -> Floats:
    """Return the squared difference of each two values, `[matrix, value, value]`.

    For ranks it is the square of the number of values from one to the other, of which the two at the ends count half.
    """
    n_values = n_of_value.shape[1]
    if metric == "nominal":
        return np.broadcast_to(1 - np.eye(n_values), (len(n_of_value), n_values, n_values))
    rank = np.cumsum(n_of_value, 1) - n_of_value / 2
    return (rank[:, :, None] - rank[:, None, :]) ** 2
