"""Test if a score selects against compound lenses: their recall minus that of single lenses that are alike otherwise.

Compound lenses differ from single ones in more than the second source: their arcs are brighter, say, which alone makes them
easier to find. So each is compared with the single lenses in the same cell of Einstein radius, S/N of the arcs and magnitude of
the lens galaxy (coarsened exact matching; Iacus, King & Porro 2012). Lenses in cells without the other kind are left out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from infra.frozen import Frozen
from scanner.purity import ValueWithInterval
from scanner.vocabulary.kinds import KINDS

Numbers = NDArray[np.floating]
Flags = NDArray[np.bool_]
COMPOUND_KINDS = KINDS[2:]
SINGLE = KINDS[1]


@dataclass(frozen=True)
class Width:
    """Width of the cells in one property of lenses."""

    width: float
    of: Callable[[Numbers], Numbers]
    """Scale on which the cells are equally wide."""


def _as_it_is(values: Numbers) -> Numbers:
    return values


WIDTHS: Mapping[str, Width] = MappingProxyType(
    {
        "einstein_radius1_arcsec": Width(0.25, np.log),
        "arc_snr": Width(0.4, np.log),
        "lens_mag_vis": Width(1.0, _as_it_is),
    }
)
"""Cells, by truth column: a quarter in Einstein radius, two fifths in S/N, a magnitude."""
_Z_95 = float(norm.ppf(0.975))


class MatchedRecall(Frozen):
    """Recall of compound lenses of one kind, and of the single lenses that they are matched with."""

    recall: ValueWithInterval
    recall_single: ValueWithInterval
    """Recall of the single lenses, weighted as the compound lenses are spread over the cells."""
    difference: ValueWithInterval
    """Recall of the compound lenses minus that of the single ones; below 0 if the score selects against compound lenses."""


class Balance(Frozen):
    """Numbers of matched lenses, and what is left of the differences in the matched properties."""

    n: int
    """Number of compound lenses of the kind."""
    n_matched: int
    n_single: int
    """Number of single lenses that they are matched with."""
    n_single_effective: float
    """Number of equally weighted single lenses that would tell as much: (sum of weights)^2 / sum of squares."""
    differences: dict[str, float]
    """By property: mean of the compound minus weighted mean of the single lenses, in standard deviations of all lenses."""


@dataclass(frozen=True)
class Matching:
    """Weights that make single lenses comparable with compound lenses of one kind; all weights are 0 if there are none."""

    kind: str
    compound: NDArray[np.float64]
    """`[object]`: 1 for matched compound lenses, else 0."""
    single: NDArray[np.float64]
    """`[object]`: weights of the matched single lenses, which sum to the number of matched compound lenses; else 0."""
    balance: Balance


def match(kinds: NDArray[np.str_], properties: Mapping[str, Numbers], kind: str) -> Matching:
    """Match the compound lenses of a kind with single lenses.

    Args:
        kinds: `[object]`, of `KINDS`.
        properties: `[object]` each, by the names of `WIDTHS`; NaN for objects that are no lenses.
        kind: Kind of compound lens.
    """
    scaled = {name: WIDTHS[name].of(np.where(kinds == KINDS[0], 1.0, values)) for name, values in properties.items()}
    cells = np.stack([np.floor(values / WIDTHS[name].width) for name, values in scaled.items()], axis=1)
    _, cell = np.unique(cells, axis=0, return_inverse=True)
    is_compound, is_single = kinds == kind, kinds == SINGLE
    counts = [np.bincount(cell, rows, minlength=int(cell.max(initial=0)) + 1) for rows in (is_compound, is_single)]
    is_shared = (np.minimum(*counts) > 0)[cell]
    share = np.divide(counts[0], counts[1], out=np.zeros_like(counts[0]), where=counts[1] > 0)
    compound = (is_compound & is_shared).astype(np.float64)
    single = np.where(is_single & is_shared, share[cell], 0.0)
    differences = {}
    if compound.any():
        for name, values in scaled.items():
            spread = float(values[is_compound | is_single].std())
            gap = np.average(values, weights=compound) - np.average(values, weights=single)
            differences[name] = float(gap / spread) if spread > 0 else 0.0
    balance = Balance(
        n=int(is_compound.sum()),
        n_matched=int(compound.sum()),
        n_single=int((single > 0).sum()),
        n_single_effective=_effective(single),
        differences=differences,
    )
    return Matching(kind, compound, single, balance)


def matched_recall(is_found: Flags, matching: Matching) -> MatchedRecall | None:
    """Compare the recall of matched lenses; None if none is matched.

    The interval joins Wilson intervals of both recalls (Newcombe 1998, method 10), for the effective number of single lenses.

    Args:
        is_found: `[object]`: whether the score exceeds the threshold.
        matching: Matching of the same objects.
    """
    if not matching.compound.any():
        return None
    found = is_found.astype(np.float64)
    of_compound, of_single = (float(np.average(found, weights=w)) for w in (matching.compound, matching.single))
    compound = wilson(of_compound, _effective(matching.compound))
    single = wilson(of_single, _effective(matching.single))
    return MatchedRecall(recall=compound, recall_single=single, difference=difference_of(compound, single))


def wilson(share: float, n: float) -> ValueWithInterval:
    """Return a share of `n` objects with Wilson's 95 % interval; `n` need not be a whole number, but must exceed 0."""
    z2 = _Z_95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z_95 * np.sqrt(share * (1 - share) / n + z2 / (4 * n**2)) / (1 + z2 / n)
    # At the ends the limits are exact but for rounding.
    low = 0.0 if share == 0 else max(0.0, float(middle - half))
    high = 1.0 if share == 1 else min(1.0, float(middle + half))
    return ValueWithInterval(value=share, low=low, high=high)


def difference_of(first: ValueWithInterval, second: ValueWithInterval) -> ValueWithInterval:
    """Return the first of two independent shares minus the second, with the interval of Newcombe (1998), method 10."""
    value = first.value - second.value
    low = value - float(np.hypot(first.value - first.low, second.high - second.value))
    high = value + float(np.hypot(first.high - first.value, second.value - second.low))
    return ValueWithInterval(value=value, low=low, high=high)


def _effective(weights: NDArray[np.float64]) -> float:
    total = float(weights.sum())
    return total**2 / float((weights**2).sum()) if total else 0.0
