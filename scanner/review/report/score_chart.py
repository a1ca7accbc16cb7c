"""The histogram of scores as shapes of a drawing in SVG: log-odds to the right, logarithm of the number upwards."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scanner.review.report.tally import BIN_EDGES_DEX
from scanner.vocabulary.prior import grouped

WIDTH, HEIGHT = 640.0, 340.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 64.0, 34.0, 26.0, 44.0
_FLOOR = 0.7
"""Number at the lower edge: a bin with one object has a visible bar."""


@dataclass(frozen=True)
class Bar:
    """A bin of the histogram."""

    x: float
    y: float
    width: float
    height: float
    is_candidate: bool
    text: str


@dataclass(frozen=True)
class Tick:
    """A mark on an axis, in pixels."""

    at: float
    text: str


@dataclass(frozen=True)
class ScoreChart:
    """The drawing."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    """Edges of the frame."""
    bars: tuple[Bar, ...]
    ticks_x: tuple[Tick, ...]
    ticks_y: tuple[Tick, ...]
    thresholds: tuple[Tick, ...]


def score_chart(scores: NDArray[np.int64], thresholds: Sequence[float]) -> ScoreChart | None:
    """Draw the numbers of scored rows in the bins of `BIN_EDGES_DEX`; None without a scored row.

    Args:
        scores: Numbers, `[bin]`.
        thresholds: Values of `p_lens` to mark; bars whose middle lies above the lowest count as candidates.
    """
    filled = np.flatnonzero(scores)
    if not len(filled):
        return None
    marked = [threshold for threshold in thresholds if 0 < threshold < 1]
    dex = [np.log10(threshold / (1 - threshold)) for threshold in marked]
    low = np.floor(min(BIN_EDGES_DEX[filled[0]], *dex, -3.0))
    high = np.ceil(max(BIN_EDGES_DEX[filled[-1] + 1], *dex, 1.0))
    decades = max(int(np.ceil(np.log10(scores.max() * 1.3))), 1)
    right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM

    def x_of(value: float) -> float:
        return round(float(_LEFT + (value - low) / (high - low) * (right - _LEFT)), 1)

    def y_of(number: float) -> float:
        share = np.log(number / _FLOOR) / np.log(10**decades / _FLOOR)
        return round(float(bottom - share * (bottom - _TOP)), 1)

    least = min(dex, default=np.inf)
    bars = tuple(
        Bar(
            x_of(BIN_EDGES_DEX[i]) + 0.5,
            y_of(scores[i]),
            round(x_of(BIN_EDGES_DEX[i + 1]) - x_of(BIN_EDGES_DEX[i]) - 1, 1),
            round(bottom - y_of(scores[i]), 1),
            bool((BIN_EDGES_DEX[i] + BIN_EDGES_DEX[i + 1]) / 2 >= least),
            f"{grouped(int(scores[i]))} with p_lens {_p(BIN_EDGES_DEX[i])} to {_p(BIN_EDGES_DEX[i + 1])}",
        )
        for i in filled
    )
    return ScoreChart(
        WIDTH,
        HEIGHT,
        _LEFT,
        right,
        _TOP,
        bottom,
        bars,
        tuple(Tick(x_of(at), text) for at, text in _round_p(low, high)),
        tuple(Tick(y_of(10**k), grouped(10**k)) for k in range(decades + 1)),
        tuple(Tick(x_of(at), f"{threshold:g}") for at, threshold in zip(dex, marked, strict=True)),
    )


def _round_p(low: float, high: float) -> list[tuple[float, str]]:
    """Return the place and the text of 0.5, of powers of ten and of their distances from 1; at most ten or so."""
    step = int(np.ceil((high - low) / 10))
    found = [(0.0, "0.5")] if low <= 0 <= high else []
    for k in range(step, 20, step):
        dex = float(np.log10(10.0**k - 1))
        small = f"{10.0**-k:g}" if k <= 4 else f"10{_superscript(-k)}"
        large = f"{1 - 10.0**-k:g}" if k <= 3 else f"1\u221210{_superscript(-k)}"
        found += [(at, text) for at, text in ((-dex, small), (dex, large)) if low <= at <= high]
    return sorted(found)


def _p(dex: float) -> str:
    p = 1 / (1 + 10.0**-dex)
    return f"{p:.2g}" if p < 0.99 else f"1 \u2212 {1 / (1 + 10.0**dex):.2g}"


def _superscript(number: int) -> str:
    return str(number).translate(
        str.maketrans("-0123456789", "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079")
    )
