"""Lines of equal RA and Dec on a map, with the places of their labels, in the coordinates of the plane."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scanner.review.report.projection import Floats, Mollweide, TangentPlane

_LARGE_STEPS = (1, 2, 5, 10, 15, 30, 45, 90)
_N_POINTS = 61
_EDGE_DEG = 1e-6


@dataclass(frozen=True)
class Window:
    """The part of the plane that a map shows, in degrees."""

    west: float
    """Largest x."""
    east: float
    """Smallest x."""
    south: float
    north: float

    @property
    def edges(self) -> tuple[float, float, float, float]:
        return self.west, self.east, self.south, self.north

    @property
    def width(self) -> float:
        return self.west - self.east

    @property
    def height(self) -> float:
        return self.north - self.south

    def holds(self, x: Floats, y: Floats) -> NDArray[np.bool_]:
        """Return which places `[n]` it shows; NaN is not shown."""
        return np.asarray((x >= self.east) & (x <= self.west) & (y >= self.south) & (y <= self.north))


@dataclass(frozen=True)
class Line:
    """A line of equal RA or Dec."""

    text: str
    x: Floats
    y: Floats
    """Points of the line, `[n]` each; NaN where the map does not show it."""
    label: tuple[float, float]
    """Place of the label: on the lower edge for RA and the left edge for Dec, or on the line near a pole; NaN for none."""
    is_ra: bool


def lines_of_plane(plane: TangentPlane, window: Window, most: int) -> list[Line]:
    """Return the lines of a map of the tangent plane, about `most` of each kind at the most."""
    grid_x, grid_y = np.meshgrid(np.linspace(window.east, window.west, 25), np.linspace(window.south, window.north, 25))
    ra, dec = plane.sky(grid_x.ravel(), grid_y.ravel())
    away = np.mod(ra - plane.ra_deg + 180, 360) - 180
    low, high, south, north = away.min(), away.max(), dec.min(), dec.max()
    has_pole = any(window.holds(*plane.plane(np.zeros(1), np.array([pole])))[0] for pole in (-90.0, 90.0))
    if has_pole:
        low, high = -180.0, 180.0 - _EDGE_DEG
        south, north = (-90.0, north) if plane.dec_deg < 0 else (south, 90.0)
    pad = window.height / 10
    along_dec = np.clip(np.linspace(south - pad, north + pad, _N_POINTS), -90, 90)
    along_ra = np.linspace(low - (high - low) / 10, high + (high - low) / 10, 2 * _N_POINTS) + plane.ra_deg
    lines = []
    for value, text in _values(plane.ra_deg + low, plane.ra_deg + high, high - low, most):
        lines.append(_line(text(value % 360), *plane.plane(np.full(_N_POINTS, value), along_dec), window, is_ra=True))
    for value, text in _values(south, north, window.height, most):
        lines.append(_line(text(value), *plane.plane(along_ra, np.full(len(along_ra), value)), window, is_ra=False))
    if has_pole:
        return [_labelled(line, window) for line in lines]
    return lines


def lines_of_sky(whole: Mollweide) -> list[Line]:
    """Return the lines of a map of the whole sky, every 30 degrees of Dec and 60 of RA."""
    half = 180 - _EDGE_DEG
    dec = np.linspace(-90, 90, 2 * _N_POINTS)
    lines = []
    for ra in range(0, 360, 60):
        away = (ra - whole.ra_deg + 180) % 360 - 180
        x, y = whole.plane(np.full(len(dec), float(ra)), dec)
        # Near the rim there is no place for the label.
        label = whole.plane(np.array([float(ra)]), np.array([0.0])) if abs(away) < 165 else (np.array([np.nan]), np.zeros(1))
        lines.append(Line(f"{ra}\u00b0", x, y, (float(label[0][0]), float(label[1][0])), is_ra=True))
    away_ra = whole.ra_deg + np.linspace(-half, half, 2 * _N_POINTS)
    for value in range(-60, 90, 30):
        x, y = whole.plane(away_ra, np.full(len(away_ra), float(value)))
        lines.append(Line(_signed(value, 0), x, y, (float(np.min(x)), float(y[0])), is_ra=False))
    return lines


def _line(text: str, x: Floats, y: Floats, window: Window, *, is_ra: bool) -> Line:
    """Return a line with its label where it meets the lower edge, if it is of RA, or the left edge; NaN if it does not."""
    across, edge = (y, window.south) if is_ra else (x, window.east)
    along = x if is_ra else y
    low, high = (window.east, window.west) if is_ra else (window.south, window.north)
    for i in np.flatnonzero((across[:-1] - edge) * (across[1:] - edge) <= 0):
        share = (edge - across[i]) / (across[i + 1] - across[i]) if across[i + 1] != across[i] else 0.0
        place = along[i] + share * (along[i + 1] - along[i])
        if low <= place <= high:
            return Line(text, x, y, (float(place), edge) if is_ra else (edge, float(place)), is_ra=is_ra)
    return Line(text, x, y, (np.nan, np.nan), is_ra=is_ra)


def _labelled(line: Line, window: Window) -> Line:
    """Return a line near a pole with a label on itself, as far from the pole as the map shows it, if it has none."""
    inside = Window(*(edge - 0.04 * window.width * sign for edge, sign in zip(window.edges, (1, -1, -1, 1), strict=True)))
    seen = np.flatnonzero(inside.holds(line.x, line.y))
    if np.isfinite(line.label[0]) or not len(seen):
        return line
    at = seen[np.argmax(np.hypot(line.x[seen] - line.x[seen].mean(), line.y[seen] - line.y[seen].mean()))]
    return replace(line, label=(float(line.x[at]), float(line.y[at])))


def _values(low: float, high: float, extent: float, most: int) -> Iterator[tuple[float, "_Text"]]:
    """Yield the round numbers from `low` to `high`, at most `most` in an extent, and the function that writes them."""
    step, decimals = _step(extent / most)
    for k in range(int(np.ceil(low / step - 1e-9)), int(np.floor(high / step + 1e-9)) + 1):
        yield round(k * step, 9), _Text(decimals)


@dataclass(frozen=True)
class _Text:
    decimals: int

    def __call__(self, value: float) -> str:
        return _signed(value, self.decimals)


def _signed(value: float, decimals: int) -> str:
    """Return degrees with a true minus."""
    text = f"{abs(value):.{decimals}f}\u00b0"
    return f"\u2212{text}" if value < 0 and float(text[:-1]) else text


def _step(least_deg: float) -> tuple[float, int]:
    """Return the smallest round step of at least a size, or the largest of all, and its number of decimals."""
    if least_deg > 0.5:
        return float(next((step for step in _LARGE_STEPS if step >= least_deg), _LARGE_STEPS[-1])), 0
    power = int(np.floor(np.log10(least_deg)))
    digit = next(digit for digit in (1, 2, 5, 10) if digit * 10.0**power >= least_deg * (1 - 1e-9))
    return digit * 10.0**power, -power - (digit == 10)
