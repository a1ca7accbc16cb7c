"""Completeness from injected objects: in cells of their properties with binomial intervals, and interpolated between them.

Intervals are those of Jeffreys for a binomial fraction (Brown, Cai & DasGupta 2001, Statistical Science 16, 101): quantiles of
the beta distribution of k + 1/2 and n - k + 1/2, with the limit 0 if no object is recovered and 1 if all are.

Between cells, objects near the asked properties count with a weight that falls as a Gaussian of their distance. This follows
the objects where the completeness saturates, which the straight lines of a logistic regression would not, and its interval is
that of as many objects as the weights are worth (Kish 1965), so it widens where few objects were injected.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from infra.errors import LensscanError
from infra.frozen import Frozen

LEVEL = 0.95
"""Probability of the intervals."""
MIN_EFFECTIVE = 5.0
"""Smallest number of injected objects that a weighted completeness must be worth."""
PROPERTIES: Mapping[str, bool] = MappingProxyType(
    {
        "einstein_radius_arcsec": True,
        "arc_snr": True,
        "source_vis_minus_h": False,
        "lens_mag_vis": False,
        "sky_sigma_vis_ujy": True,
    }
)
"""Properties of injected objects that completeness depends on, and whether distances are taken in their logarithm."""
EDGES: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "einstein_radius_arcsec": (0.0, 0.5, 0.75, 1.0, 1.5, np.inf),
        "arc_snr": (0.0, 20.0, 30.0, 50.0, 80.0, np.inf),
    }
)
"""Edges of the cells that tables and charts show."""

_QUARTILES_SIGMA = 1.349
"""Distance between the quartiles of a Gaussian, in sigma."""
_LEAST_SPREAD = 1e-12

_Numbers = NDArray[np.float64]


class CompletenessError(LensscanError, ValueError):
    """The injected objects say nothing about the asked properties; the message gives their range."""


class Completeness(Frozen):
    """A recovered fraction with its 95 % interval."""

    value: float
    low: float
    high: float
    n: float
    """Number of injected objects that it rests on; of weighted ones, the number that they are worth."""

    def __str__(self) -> str:
        return f"{100 * self.value:.0f} % ({100 * self.low:.0f}\u2013{100 * self.high:.0f} %)"


@dataclass(frozen=True)
class Cell:
    """Injected objects of similar properties."""

    kind: str
    bounds: Mapping[str, tuple[float, float]]
    """Lower bound, which belongs to the cell, and upper bound, which does not, by property."""
    n: int
    n_recovered: int
    middle: Mapping[str, float]
    """Median of each of these properties among the objects; NaN without objects."""

    @property
    def completeness(self) -> Completeness | None:
        """The recovered fraction; None without objects."""
        if not self.n:
            return None
        return fraction(self.n_recovered, self.n)


@dataclass(frozen=True)
class Sample:
    """Injected objects, `[n]` each."""

    kind: NDArray[np.str_]
    properties: Mapping[str, _Numbers]
    """Those of `PROPERTIES`."""
    is_recovered: NDArray[np.bool_]

    def cells(self, edges: Mapping[str, Sequence[float]] = EDGES) -> list[Cell]:
        """Return the cells between the edges of some properties, for each kind in the order of its first object."""
        ranges = [list(pairwise(bounds)) for bounds in edges.values()]
        return [
            self._cell(kind, dict(zip(edges, bounds, strict=True)))
            for kind in dict.fromkeys(self.kind.tolist())
            for bounds in product(*ranges)
        ]

    def at(self, kind: str, **properties: float | None) -> Completeness:
        """Return the completeness of a kind at given properties, averaged over the injected objects in those not given.

        The width of the Gaussian along each property is that of Scott (1992) for a density: the scatter of the objects of the
        kind times n^(-1 / (d + 4)), d being the number of given properties.

        Raises:
            CompletenessError: no object of the kind was injected, a property is unknown or outside the range that was injected,
                or the objects near it are worth fewer than `MIN_EFFECTIVE`.
        """
        return self.of_population(kind, {name: [value] for name, value in properties.items() if value is not None})

    def of_population(self, kind: str, properties: Mapping[str, ArrayLike]) -> Completeness:
        """Return the mean completeness of objects of a kind with these properties, `[m]` each; see `at`, which takes one.

        Raises:
            CompletenessError: as for `at`, for any of the objects.
        """
        if unknown := sorted(properties.keys() - PROPERTIES.keys()):
            raise CompletenessError(f"a property must be one of {', '.join(PROPERTIES)}, got {', '.join(unknown)}")
        is_kind = self.kind == kind
        if not is_kind.any():
            there = ", ".join(dict.fromkeys(self.kind.tolist())) or "nothing"
            raise CompletenessError(f"subclass must be one that was injected, {there}, got {kind!r}")
        points, at = [], []
        for name, wanted in properties.items():
            known, values = self.properties[name][is_kind], np.asarray(wanted, np.float64)
            low, high = float(known.min()), float(known.max())
            is_outside = ~((values >= low) & (values <= high))
            if is_outside.any():
                raise CompletenessError(
                    f"{name} of a {kind} must be in the range that was injected, {low:.3g} to {high:.3g}, got "
                    f"{values[is_outside][0]:g}"
                )
            points.append(np.log(known) if PROPERTIES[name] else known)
            at.append(np.log(values) if PROPERTIES[name] else values)
        if not points:
            return fraction(int(self.is_recovered[is_kind].sum()), int(is_kind.sum()))
        return weighted(np.stack(points, axis=1), self.is_recovered[is_kind], np.stack(at, axis=1))

    def _cell(self, kind: str, bounds: Mapping[str, tuple[float, float]]) -> Cell:
        is_in = self.kind == kind
        for name, (low, high) in bounds.items():
            is_in &= (self.properties[name] >= low) & (self.properties[name] < high)
        n = int(is_in.sum())
        middle = {name: float(np.median(self.properties[name][is_in])) if n else np.nan for name in bounds}
        return Cell(kind, bounds, n, int(self.is_recovered[is_in].sum()), middle)


def jeffreys(k: ArrayLike, n: ArrayLike, level: float = LEVEL) -> tuple[_Numbers, _Numbers]:
    """Return the lower and the upper limit of the fraction of which k of n were found; both may be fractional, and arrays."""
    # Imported here: readers of catalogues import this file, and scipy takes longer than all the rest.
    from scipy.special import betaincinv

    found, tried = np.asarray(k, np.float64), np.asarray(n, np.float64)
    tail = (1 - level) / 2
    a, b = found + 0.5, tried - found + 0.5
    low = np.where(found > 0, betaincinv(a, b, tail), 0.0)
    high = np.where(found < tried, betaincinv(a, b, 1 - tail), 1.0)
    return low, high


def fraction(k: float, n: float) -> Completeness:
    """Return k / n with its interval; n must be positive."""
    low, high = jeffreys(k, n)
    return Completeness(value=k / n, low=float(low), high=float(high), n=n)


def weighted(points: _Numbers, is_recovered: NDArray[np.bool_], at: _Numbers) -> Completeness:
    """Return the mean completeness at points `at`, `[m, d]`, from objects at `points`, `[n, d]`, with d >= 1; see `Sample.at`.

    Raises:
        CompletenessError: the objects near one of the points are worth fewer than `MIN_EFFECTIVE`.
    """
    n, d = points.shape
    spread = points.std(axis=0)
    # Outliers must not widen the Gaussian.
    middle = np.subtract(*np.percentile(points, [75, 25], axis=0)) / _QUARTILES_SIGMA
    width = np.where(middle > 0, np.minimum(spread, middle), np.maximum(spread, _LEAST_SPREAD)) * n ** (-1 / (d + 4))
    weights = np.exp(-0.5 * np.sum(((points[None] - at[:, None]) / width) ** 2, axis=2))
    fewest = float(_worth(weights).min())
    if fewest < MIN_EFFECTIVE:
        raise CompletenessError(
            f"objects that were injected near these properties must be worth {MIN_EFFECTIVE:g}, got {fewest:.1f}: inject more, "
            "or give fewer properties"
        )
    mean = np.mean(weights / weights.sum(axis=1, keepdims=True), axis=0)
    # Rounded, because a sum of shares is 1 but for its last digits, and all objects or none have a limit of their own.
    value, n_effective = round(float(mean @ is_recovered), 12), float(_worth(mean[None])[0])
    return fraction(value * n_effective, n_effective)


def _worth(weights: _Numbers) -> _Numbers:
    """Return the number of objects that weights `[m, n]` are worth, `[m]`; 0 where all are 0."""
    squares = np.sum(weights**2, axis=1)
    return np.divide(np.sum(weights, axis=1) ** 2, squares, out=np.zeros(len(weights)), where=squares > 0)
