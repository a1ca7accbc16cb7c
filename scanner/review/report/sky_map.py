"""Maps of the scanned area and the candidates, as the shapes of drawings in SVG: coordinates in pixels, y downwards."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scanner.review.report.coverage import Cells
from scanner.review.report.graticule import Line, Window, lines_of_plane, lines_of_sky
from scanner.review.report.projection import Floats, Mollweide, Projection, TangentPlane

MOST_PLANE_DEG = 30.0
"""Largest distance from the middle of an area that is drawn on its tangent plane; a larger one is drawn in Mollweide's."""
MOST_FIELDS = 6
"""Largest number of fields that have maps of their own."""
_TOP, _RIGHT, _BOTTOM = 10.0, 14.0, 30.0
_LEAST_ASPECT, _MOST_ASPECT = 0.45, 1.0
"""Limits of height / width of a map."""


@dataclass(frozen=True)
class _Format:
    """Size of a map, in pixels, and the largest number of its lines of each kind."""

    width: float
    left: float
    """Space for the labels."""
    most_lines: int


_LARGE, _SMALL = _Format(640, 90, 5), _Format(320, 68, 4)
_GAP_CELLS = 6.0
"""Distance in cells between areas that count as two fields."""
_SMALL_FIELD = 0.2
"""Largest size of a field with a map of its own, as a share of the whole area's."""
_LABEL_PIXELS = 16.0
"""Distance of labels from the frame."""


@dataclass(frozen=True)
class Place:
    """Position of a candidate of the list."""

    number: int
    """Number in the list, from 1."""
    name: str
    kind: str
    """Its subclass."""
    ra_deg: float
    dec_deg: float


@dataclass(frozen=True)
class Label:
    """A text on a map."""

    x: float
    y: float
    text: str
    anchor: str
    """`start`, `middle` or `end`, as in SVG."""


@dataclass(frozen=True)
class Mark:
    """A candidate on a map."""

    x: float
    y: float
    place: Place


@dataclass(frozen=True)
class SkyMap:
    """A map; paths are those of SVG."""

    title: str
    width: float
    height: float
    frame: str
    scored: str
    """Cells with a scored object."""
    unscored: str
    """Cells whose objects were all rejected."""
    lines: str
    labels: tuple[Label, ...]
    dots: str
    """Candidates that are not in the list."""
    marks: tuple[Mark, ...]


def sky_maps(cells: Cells, places: Sequence[Place], others: tuple[Floats, Floats]) -> list[SkyMap]:
    """Return the map of the whole area first; if it consists of a few small fields far apart, then the map of each.

    Args:
        cells: The scanned area; without a cell there is no map.
        places: Candidates of the list.
        others: RA and Dec of other candidates, `[n]` each, which become dots.
    """
    if not len(cells.number):
        return []
    fields = _fields(cells)
    whole = _map_of("The scanned area", cells, _LARGE, () if fields else places, others, fields)
    return [whole, *(_map_of(f"Field {i}", field, _SMALL, places, others) for i, field in enumerate(fields, 1))]


def _map_of(
    title: str,
    cells: Cells,
    format_: _Format,
    places: Sequence[Place],
    others: tuple[Floats, Floats],
    fields: Sequence[Cells] = (),
) -> SkyMap:
    ra, dec, farthest = cells.middle()
    is_plane = farthest <= MOST_PLANE_DEG
    canvas = _Canvas.of_plane(TangentPlane(ra, dec), cells, format_) if is_plane else _Canvas.of_sky(Mollweide(ra), format_)
    labels = [label for line in canvas.graticule if (label := canvas.label(line)) is not None]
    for number, field in enumerate(fields, 1):
        x, y = canvas.pixels(*(np.array([value]) for value in field.middle()[:2]))
        labels.append(Label(float(x[0]) + 8, float(y[0]) - 6, str(number), "start"))
    dots_x, dots_y = canvas.pixels(*others)
    at_x, at_y = canvas.pixels(*(np.array([getattr(p, name) for p in places]) for name in ("ra_deg", "dec_deg")))
    return SkyMap(
        title,
        format_.width,
        canvas.height,
        canvas.frame,
        canvas.polygons(cells, cells.is_scored),
        canvas.polygons(cells, ~cells.is_scored),
        "".join(canvas.polyline(line.x, line.y) for line in canvas.graticule),
        tuple(labels),
        "".join(f"M{x:.1f} {y:.1f}h0" for x, y in zip(dots_x, dots_y, strict=True) if np.isfinite(x)),
        tuple(
            Mark(round(float(x), 1), round(float(y), 1), place)
            for x, y, place in zip(at_x, at_y, places, strict=True)
            if np.isfinite(x)
        ),
    )


@dataclass(frozen=True)
class _Canvas:
    """From the sky to the pixels of a drawing."""

    projection: Projection
    window: Window
    graticule: list[Line]
    format: _Format
    is_sky: bool

    @classmethod
    def of_plane(cls, plane: TangentPlane, cells: Cells, format_: _Format) -> "_Canvas":
        """Return the canvas that shows all cells, and a margin about them."""
        x, y = (values.ravel() for values in plane.plane(*cells.corners()))
        margin = 0.06 * max(np.ptp(x), np.ptp(y)) + cells.side_deg / 2
        west, east, south, north = x.max() + margin, x.min() - margin, y.min() - margin, y.max() + margin
        width, height = west - east, north - south
        more_height = max(width * _LEAST_ASPECT - height, 0) / 2
        more_width = max(height / _MOST_ASPECT - width, 0) / 2
        window = Window(west + more_width, east - more_width, south - more_height, north + more_height)
        return cls(plane, window, lines_of_plane(plane, window, format_.most_lines), format_, is_sky=False)

    @classmethod
    def of_sky(cls, whole: Mollweide, format_: _Format) -> "_Canvas":
        width, height = 360 * np.sqrt(8) / np.pi, 180 * np.sqrt(8) / np.pi
        return cls(whole, Window(width / 2, -width / 2, -height / 2, height / 2), lines_of_sky(whole), format_, is_sky=True)

    @property
    def scale(self) -> float:
        """Pixels per degree."""
        return (self.format.width - self.format.left - _RIGHT) / self.window.width

    @property
    def height(self) -> float:
        return round(_TOP + _BOTTOM + self.window.height * self.scale, 1)

    @property
    def frame(self) -> str:
        left, right, top, bottom = self.format.left, self.format.width - _RIGHT, _TOP, self.height - _BOTTOM
        if self.is_sky:
            a, b, middle = (right - left) / 2, (bottom - top) / 2, (top + bottom) / 2
            return f"M{left:g} {middle:.1f}a{a:.1f} {b:.1f} 0 1 0 {2 * a:.1f} 0a{a:.1f} {b:.1f} 0 1 0 {-2 * a:.1f} 0z"
        return f"M{left:g} {top:g}H{right:g}V{bottom:.1f}H{left:g}z"

    def at(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Turn places of the plane into pixels."""
        return self.format.left + (x - self.window.east) * self.scale, _TOP + (self.window.north - y) * self.scale

    def pixels(self, ra_deg: Floats, dec_deg: Floats) -> tuple[Floats, Floats]:
        """Return the pixels of positions `[n]`; NaN for those that the map does not show, or that are NaN."""
        x, y = self.projection.plane(np.asarray(ra_deg, np.float64), np.asarray(dec_deg, np.float64))
        seen = self.window.holds(x, y)
        return self.at(np.where(seen, x, np.nan), np.where(seen, y, np.nan))

    def label(self, line: Line) -> Label | None:
        """Return the label of a line, outside the frame; None for a line without one."""
        x, y = (float(value) for value in self.at(*(np.array(value) for value in line.label)))
        if not np.isfinite(x):
            return None
        if self.is_sky:
            return Label(x, y - 4, line.text, "middle") if line.is_ra else Label(x - 6, y + 5, line.text, "end")
        if line.is_ra and abs(line.label[1] - self.window.south) < 1e-9:
            return Label(x, y + _LABEL_PIXELS + 4, line.text, "middle")
        if not line.is_ra and abs(line.label[0] - self.window.east) < 1e-9:
            return Label(x - 6, y + 5, line.text, "end")
        return Label(x, y - 4, line.text, "middle")

    def polyline(self, x: Floats, y: Floats) -> str:
        """Return a path; it breaks where a point is unknown."""
        at_x, at_y = self.at(x, y)
        parts, is_drawn = [], False
        for a, b in zip(at_x, at_y, strict=True):
            known = bool(np.isfinite(a)) and abs(a) < 1e5 and abs(b) < 1e5
            if known:
                parts.append(f"{'L' if is_drawn else 'M'}{a:.1f} {b:.1f}")
            is_drawn = known
        return "".join(parts)

    def polygons(self, cells: Cells, chosen: NDArray[np.bool_]) -> str:
        """Return the path of some cells; a cell that the rim of the sky divides is left out."""
        ra, dec = cells.corners()
        shown = chosen & self.projection.shows(ra, dec)
        at_x, at_y = self.at(*self.projection.plane(ra[shown], dec[shown]))
        # Offsets between rounded corners add up to the next corner.
        corners = np.round(np.stack([at_x, at_y], axis=-1) * 10).astype(np.int64)
        return "".join(map(_polygon, corners))


def _polygon(corners: NDArray[np.int64]) -> str:
    """Return the path of a polygon `[corner, (x, y)]` in tenths of pixels."""
    first, steps = corners[0] / 10, np.diff(corners, axis=0) / 10
    return f"M{first[0]:g} {first[1]:g}l" + " ".join(f"{dx:g} {dy:g}" for dx, dy in steps) + "z"


def _fields(cells: Cells) -> list[Cells]:
    """Return the fields of an area, largest first, if it consists of 2 to `MOST_FIELDS` small ones; else none."""
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import KDTree

    ra, dec = (np.radians(values) for values in cells.centres())
    vectors = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)
    gap = 2 * np.sin(np.radians(min(_GAP_CELLS * cells.side_deg, 60)) / 2)
    tree = KDTree(vectors)
    n, field_of = connected_components(tree.sparse_distance_matrix(tree, gap), directed=False)
    if not 2 <= n <= MOST_FIELDS:
        return []
    fields = [Cells(cells.order, cells.number[field_of == i], cells.is_scored[field_of == i]) for i in range(n)]
    sizes = [field.middle()[2] + field.side_deg for field in fields]
    if max(sizes) > _SMALL_FIELD * cells.middle()[2]:
        return []
    return sorted(fields, key=lambda field: -len(field.number))
