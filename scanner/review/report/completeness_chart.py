"""The completeness of each kind against one property as shapes of a drawing in SVG, with the interval of each cell."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scanner.completeness import EDGES, Cell, Sample

WIDTH, HEIGHT = 640.0, 340.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 76.0, 20.0, 18.0, 54.0
_BESIDE = 7.0
"""Distance in pixels between the points of two kinds, whose intervals would hide each other."""
_TICKS = (0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 1000)
_LEAST_TICK_PIXELS = 44.0
_WORDS = {"einstein_radius_arcsec": "Einstein radius in arcsec", "arc_snr": "S/N of the arcs in VIS at the nominal depth"}


@dataclass(frozen=True)
class Point:
    """A cell, in pixels."""

    x: float
    y: float
    low: float
    """y of the lower limit, which is the larger one."""
    high: float
    text: str


@dataclass(frozen=True)
class Series:
    """The cells of a kind, from left to right."""

    kind: str
    points: tuple[Point, ...]
    line: str
    """Path through the points."""


@dataclass(frozen=True)
class Tick:
    """A mark on an axis, in pixels."""

    at: float
    text: str


@dataclass(frozen=True)
class CompletenessChart:
    """The drawing."""

    title: str
    series: tuple[Series, ...]
    ticks_x: tuple[Tick, ...]
    ticks_y: tuple[Tick, ...]
    width: float = WIDTH
    height: float = HEIGHT
    left: float = _LEFT
    right: float = WIDTH - _RIGHT
    top: float = _TOP
    bottom: float = HEIGHT - _BOTTOM


def completeness_charts(sample: Sample) -> tuple[CompletenessChart, ...]:
    """Draw completeness against each property of `EDGES`, with a logarithmic axis."""
    return tuple(_chart(name, sample.cells({name: EDGES[name]})) for name in EDGES)


def _chart(name: str, cells: Sequence[Cell]) -> CompletenessChart:
    filled = [cell for cell in cells if cell.n]
    kinds = list(dict.fromkeys(cell.kind for cell in filled))
    middles = np.log([cell.middle[name] for cell in filled])
    low, high = float(middles.min()) - 0.15, float(middles.max()) + 0.15
    right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM

    def x_of(value: float) -> float:
        return round(float(_LEFT + (np.log(value) - low) / (high - low) * (right - _LEFT)), 1)

    def y_of(share: float) -> float:
        return round(bottom - share * (bottom - _TOP), 1)

    series = []
    for number, kind in enumerate(kinds):
        aside = _BESIDE * (number - (len(kinds) - 1) / 2)
        points = []
        for cell in filled:
            found = cell.completeness
            if cell.kind != kind or found is None:
                continue
            text = f"{found} of {cell.n} injected, about {cell.middle[name]:.3g}"
            x = round(x_of(cell.middle[name]) + aside, 1)
            points.append(Point(x, y_of(found.value), y_of(found.low), y_of(found.high), text))
        points.sort(key=lambda point: point.x)
        line = "M" + "L".join(f"{point.x} {point.y}" for point in points)
        series.append(Series(kind, tuple(points), line))
    ticks = [Tick(x_of(value), f"{value:g}") for value in _TICKS if low <= np.log(value) <= high]
    shares = (0.0, 0.25, 0.5, 0.75, 1.0)
    return CompletenessChart(
        _WORDS[name], tuple(series), tuple(_apart(ticks)), tuple(Tick(y_of(s), f"{100 * s:.0f} %") for s in shares)
    )


def _apart(ticks: Sequence[Tick]) -> list[Tick]:
    """Return those ticks whose texts do not run into each other."""
    kept: list[Tick] = []
    for tick in ticks:
        if not kept or tick.at - kept[-1].at >= _LEAST_TICK_PIXELS:
            kept.append(tick)
    return kept
