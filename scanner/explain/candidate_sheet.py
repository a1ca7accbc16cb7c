"""Picture of some candidates of a catalogue: colour cutout, Guided Grad-CAM and occlusion map, with their meaning below."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import CenteredNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from scanner.explain.figure_files import FigureError, figure_bytes, write_figure
from scanner.explain.map_grid import GUIDED_CELLS, LEAST_CHANGE, OCCLUSION_CELLS, PICTURE_PIXELS, SHOWN_ARCSEC
from scanner.vocabulary.probability_text import probability_text

MOST_ROWS = 24
"""Largest number of candidates on one sheet."""
_CAPTIONED = ("candidate_id", "object_id", "p_lens", "subclass", "truth")
_MAPS = ("cutout_rgb", "map_guided", "map_occlusion", "occlusion_step")
_EDGES_ARCSEC = (-SHOWN_ARCSEC / 2, SHOWN_ARCSEC / 2) * 2
_PANELS = ("H, Y + J, VIS", "Guided Grad-CAM", "occlusion")
_MARGIN, _GAP, _CAPTION, _HEAD, _KEY_LINE = 0.14, 0.04, 0.36, 0.2, 0.17
"""Lengths in inches."""
_SMALL, _NORMAL = 7.0, 8.0
"""Font sizes in points."""
_KEY = (
    (
        None,
        f"picture: H red, Y + J green, VIS blue, {SHOWN_ARCSEC:g}\u2033 wide; Guided Grad-CAM: bright pixels raise the score",
    ),
    ("blue", "occlusion, blue: hiding this square makes a lens less likely, so it supports a lens"),
    ("red", "occlusion, red: hiding this square makes a lens more likely, so it counts against a lens"),
    (None, "number in an occlusion map: the change of ln(p/(1-p)) that has the full colour; white changes nothing"),
    (None, "p_lens: probability of a lens where lenses are as rare as the ensemble assumes"),
)
"""Colour of the square in front of a line, and the line."""


_DPI = 150


class _NotebookFigure(Figure):
    """A figure that a notebook shows as the value of a cell, whether or not pyplot is used."""

    def _repr_png_(self) -> bytes:
        return figure_bytes(self, "png", _DPI)


def candidate_sheet(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the stored maps of some candidates, three panels for each: one candidate large, several two abreast.

    Args:
        rows: 1 to `MOST_ROWS` rows of the candidate catalogue with its columns of maps, flat or as arrays. The caption of a
            panel shows `candidate_id`, `p_lens`, `subclass` and, if the row has it, the true kind `truth`. A row whose maps
            are null has empty panels.

    Raises:
        FigureError: there are no rows or too many, a column of maps is missing, or a map has another number of pixels.
    """
    if not 1 <= len(rows) <= MOST_ROWS:
        raise FigureError(f"a picture shows 1 to {MOST_ROWS} candidates, got {len(rows)}")
    maps = [_Maps.of(row) for row in rows]
    layout = _Layout(len(rows))
    figure = _NotebookFigure(figsize=(layout.width, layout.height), facecolor="white")
    FigureCanvasAgg(figure)
    for number, (row, of_row) in enumerate(zip(rows, maps, strict=True)):
        panels = [figure.add_axes(layout.panel(number, column)) for column in range(len(_PANELS))]
        if number < layout.abreast:
            for axis, name in zip(panels, _PANELS, strict=True):
                axis.text(0.5, -0.02, name, transform=axis.transAxes, ha="center", va="top", fontsize=_SMALL, color="0.35")
        _draw_caption(figure, layout, number, row)
        _draw_maps(panels, of_row)
    _draw_key(figure, layout)
    return figure


def write_candidate_sheet(rows: Sequence[Mapping[str, Any]], path: str | Path) -> None:
    """Write `candidate_sheet` as PNG or PDF, by the ending of the path; an existing file is replaced whole.

    Raises:
        FigureError: the rows cannot be drawn, or the path ends otherwise.
        OSError: the file cannot be written.
    """
    write_figure(candidate_sheet(rows), path, _DPI)


@dataclass(frozen=True)
class _Maps:
    picture: NDArray[np.uint8]
    """`[y, x, colour]`"""
    guided: NDArray[np.floating]
    """`[y, x]`, between 0 and 1."""
    changes: NDArray[np.floating]
    """`[y, x]`: change of the log-odds of a lens when a square is hidden."""

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "_Maps | None":
        """Return the maps of a row; None if they are null."""
        if missing := [name for name in _MAPS if name not in row]:
            raise FigureError(f"the row has no column {', '.join(missing)}: read candidates with their maps")
        if any(_is_null(row[name]) for name in _MAPS):
            return None
        return cls(
            _shaped(row, "cutout_rgb", (PICTURE_PIXELS, PICTURE_PIXELS, 3)).astype(np.uint8),
            _shaped(row, "map_guided", (GUIDED_CELLS, GUIDED_CELLS)) / 255,
            _shaped(row, "map_occlusion", (OCCLUSION_CELLS, OCCLUSION_CELLS)) * float(row["occlusion_step"]),
        )


def _is_null(value: Any) -> bool:
    """Return whether a cell is null, as Arrow (None), pandas (NaN or NA) or astropy (masked) say it."""
    if value is None or np.ma.is_masked(value) or str(value) == "<NA>":
        return True
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


def _shaped(row: Mapping[str, Any], name: str, shape: tuple[int, ...]) -> NDArray[Any]:
    pixels = np.asarray(row[name])
    if pixels.size != np.prod(shape):
        got = f"the text {pixels.item()[:20]!r}" if pixels.dtype.kind == "U" and pixels.ndim == 0 else pixels.size
        raise FigureError(f"{name} must hold {' x '.join(map(str, shape))} numbers, got {got}")
    return pixels.reshape(shape)


@dataclass(frozen=True)
class _Layout:
    """Places of panels on the sheet; lengths in inches, places as matplotlib takes them, in shares of the sheet."""

    n: int

    @property
    def abreast(self) -> int:
        return 1 if self.n == 1 else 2

    @property
    def panel_side(self) -> float:
        return 2.3 if self.n == 1 else 1.5

    @property
    def block_width(self) -> float:
        return len(_PANELS) * self.panel_side + (len(_PANELS) - 1) * _GAP

    @property
    def width(self) -> float:
        return self.abreast * self.block_width + (self.abreast + 1) * _MARGIN

    @property
    def height(self) -> float:
        lines = -(-self.n // self.abreast)
        return lines * (_CAPTION + self.panel_side) + _HEAD + _KEY_LINE * len(_KEY) + 2 * _MARGIN

    def corner(self, number: int) -> tuple[float, float]:
        """Return the left edge of a candidate's panels, and their upper edge, from the top left of the sheet."""
        line, place = divmod(number, self.abreast)
        below_head = _HEAD if line else 0.0
        left = _MARGIN + place * (self.block_width + _MARGIN)
        return left, _MARGIN / 2 + below_head + line * (_CAPTION + self.panel_side) + _CAPTION

    def panel(self, number: int, column: int) -> tuple[float, float, float, float]:
        left, top = self.corner(number)
        left += column * (self.panel_side + _GAP)
        return (*self.at(left, top + self.panel_side), self.panel_side / self.width, self.panel_side / self.height)

    def at(self, left: float, top: float) -> tuple[float, float]:
        """Turn a place in inches from the top left into shares of the sheet from the bottom left."""
        return left / self.width, 1 - top / self.height


def _draw_caption(figure: Figure, layout: _Layout, number: int, row: Mapping[str, Any]) -> None:
    left, top = layout.corner(number)
    known = {column: value for column, value in row.items() if column in _CAPTIONED and not _is_null(value)}
    name = known.get("candidate_id") or known.get("object_id") or f"row {number}"
    parts = [f"p_lens {probability_text(float(known['p_lens']))}" if "p_lens" in known else "no score"]
    parts += [_plain(known.get("subclass", "")), f"truth: {_plain(known['truth'])}" if "truth" in known else ""]
    text: dict[str, Any] = {"va": "bottom", "parse_math": False}
    figure.text(*layout.at(left, top - 0.17), str(name), fontsize=_NORMAL, weight="bold", **text)
    figure.text(*layout.at(left, top - 0.03), "  \u00b7  ".join(part for part in parts if part), fontsize=_NORMAL, **text)


def _plain(kind: Any) -> str:
    return str(kind).replace("nonlens", "no lens").replace("_", " ")


def _draw_maps(panels: Sequence[Axes], maps: _Maps | None) -> None:
    for axis in panels:
        axis.set(xticks=[], yticks=[], xlim=_EDGES_ARCSEC[:2], ylim=_EDGES_ARCSEC[:2])
    if maps is None:
        for axis in panels:
            axis.text(0, 0, "no maps stored", fontsize=_SMALL, color="0.5", ha="center", va="center")
        return
    picture, guided, occlusion = panels
    how: dict[str, Any] = {"origin": "lower", "extent": _EDGES_ARCSEC}
    picture.imshow(maps.picture, **how)
    picture.plot([-3.6, -2.6], [-3.5, -3.5], color="white", linewidth=1.6, solid_capstyle="butt")
    picture.text(-3.1, -3.35, "1\u2033", color="white", fontsize=_SMALL, ha="center", va="bottom")
    guided.imshow(maps.guided, cmap="magma", vmin=0, vmax=1, **how)
    largest = max(float(np.abs(maps.changes).max()), LEAST_CHANGE)
    occlusion.imshow(maps.changes, cmap="bwr", norm=CenteredNorm(halfrange=largest), **how)
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1.0}
    occlusion.text(
        3.8,
        -3.8,
        f"\u00b1{largest:.1f}" if largest >= 0.1 else f"\u00b1{largest:.1g}",
        fontsize=_SMALL,
        ha="right",
        va="bottom",
        bbox=box,
    )


def _draw_key(figure: Figure, layout: _Layout) -> None:
    for number, (colour, line) in enumerate(_KEY):
        top = layout.height - _MARGIN / 2 - (len(_KEY) - number - 0.5) * _KEY_LINE
        left, middle = layout.at(_MARGIN, top)
        if colour is not None:
            side = 0.1
            corner = layout.at(_MARGIN, top + side / 2)
            size = side / layout.width, side / layout.height
            figure.add_artist(Rectangle(corner, *size, facecolor=colour, edgecolor="none", transform=figure.transFigure))
            left = layout.at(_MARGIN + 1.5 * side, top)[0]
        figure.text(left, middle, line, fontsize=_SMALL, va="center", color="0.2")
