"""Measure how far a quantity of a sample has moved from that of a reference sample, with its statistical error."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SIGNIFICANT = 4.0
"""Standard errors by which a drift must exceed its limit: twenty checks a night then raise less than one false alarm in two
years, even at nights whose true drift equals the limit."""
LEAST_OBJECTS = 20
"""Smallest number of objects of a sample: the errors of fewer are not known well enough."""
_MEDIAN_ERROR = math.sqrt(math.pi / 2)
"""Standard error of the median of a Gaussian sample, in those of its mean."""
_SIGMA_PER_MAD = 1.4826
"""Standard deviation of a Gaussian, in its median absolute deviations."""

_Numbers = NDArray[np.float64]


class Location(NamedTuple):
    """A typical value of a sample with its standard error."""

    value: float
    error: float
    n: int


class Drift(NamedTuple):
    """Difference of two locations with its standard error."""

    value: float
    error: float

    def exceeds(self, limit: float) -> bool:
        """Return whether the difference is larger than the limit, either way, beyond its statistical error."""
        return abs(self.value) - SIGNIFICANT * self.error > limit


def median(values: _Numbers) -> Location | None:
    """Return the median of `values [n]`, without NaN; None if there are too few."""
    finite = values[np.isfinite(values)]
    if len(finite) < LEAST_OBJECTS:
        return None
    middle = float(np.median(finite))
    sigma = _SIGMA_PER_MAD * float(np.median(np.abs(finite - middle)))
    return Location(middle, _MEDIAN_ERROR * sigma / math.sqrt(len(finite)), len(finite))


def quantile(values: _Numbers, share: float) -> Location | None:
    """Return a quantile of `values [n]`, without NaN; None if there are too few.

    Its error is half the distance of the order statistics one binomial standard deviation above and below.
    """
    finite = np.sort(values[np.isfinite(values)])
    n = len(finite)
    if n < LEAST_OBJECTS:
        return None
    spread = math.sqrt(share * (1 - share) / n)
    low, middle, high = np.quantile(finite, [max(share - spread, 0), share, min(share + spread, 1)])
    return Location(float(middle), float(high - low) / 2, n)


def drift(now: Location | None, before: Location | None) -> Drift | None:
    """Return the difference of two locations; None if one is not known."""
    if now is None or before is None:
        return None
    return Drift(now.value - before.value, math.hypot(now.error, before.error))
