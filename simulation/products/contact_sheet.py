"""Draw a picture of a data set: its objects by kind, in colour, and below in VIS without the galaxy in the middle."""

import io
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from scanner.preprocess.colour_picture import composite
from scanner.preprocess.residual import RESIDUAL_STRETCH, residual_in_sky, residual_picture
from scanner.sources.shards import Shard
from scanner.vocabulary.kinds import KINDS

COLUMNS = 8
_SIDES_ARCSEC = (5.0, 7.5, 10.0)
"""Sides of the squares that are shown."""
_INCHES = 1.3
_GAP_INCHES = 0.03
_LABEL_INCHES, _CAPTION_INCHES, _LINE_INCHES = 0.95, 0.36, 0.17
_LEAST_INCHES = 7.6
"""Smallest width of a sheet, for its key."""
_DPI = 100
_LABELS = {"single": "single\nlens", "compound_arc": "compound\nlens:\narcs", "double_ring": "compound\nlens:\ndouble ring"}
_SHAPES = {"quad": "four images", "compound_arc": "", "double_ring": "", "host": "as it was"}
"""Words for values of `morphology`; others are words themselves."""
_BLACK, _WHITE = RESIDUAL_STRETCH
_KEY = (
    "Above: H in red, Y and J in green, VIS in blue.  Below: VIS after a galaxy of smooth ellipses was subtracted in the",
    f"middle, from {_BLACK:g} (black) to {_WHITE:g} (white) times the noise of the sky: arcs are bright.  Bar: 1 arcsec.",
    "#: object_id.  \u03b8: Einstein radius of each source in arcsec.  S/N: signal-to-noise ratio of all lensed light in VIS.",
)
_NOTES = {"twin": "a galaxy like those that are lenses, without arcs", "host": "a real image before arcs were added"}
"""Explanations of values of `morphology`, below the key."""

Picture = NDArray[np.float64]
"""`[y, x, channel]` in 0-1, or `[y, x]` in grey; y up."""


class Cell(NamedTuple):
    """One object of a sheet."""

    caption: str
    pictures: Sequence[Picture]
    """Pictures, the first on top."""
    side_arcsec: float
    """Side of the pictures."""


def contact_sheet_png(shard: Shard) -> bytes:
    """Return a PNG with up to `COLUMNS` objects of each shape (`morphology` of the truth) in the shard, lenses first.

    Raises:
        ValueError: the shard's truth has no kinds.
    """
    truth = shard.truth.to_pylist()
    if not any(row["morphology"] for row in truth):
        raise ValueError("the shard's truth must name kinds of object in its column 'morphology', got none")
    rows: list[tuple[str, list[Cell]]] = []
    for kind in (*KINDS[1:], KINDS[0]):
        cells = [_cell(shard, i, truth[i]) for i in _chosen(truth, kind)]
        label = _LABELS.get(kind, "no lens")
        rows += [(label, cells[start : start + COLUMNS]) for start in range(0, len(cells), COLUMNS)]
    shown = {row["morphology"] for row in truth}
    return sheet_png(rows, [*_KEY, *(f"{_words(name)}: {note}." for name, note in _NOTES.items() if name in shown)])


def _chosen(truth: Sequence[Mapping[str, Any]], kind: str) -> list[int]:
    """Return the rows of a kind that are shown, by shape."""
    shapes: dict[str, list[int]] = {}
    for i, row in enumerate(truth):
        if row["morphology"] and (row["kind"] or KINDS[0]) == kind:
            shapes.setdefault(row["morphology"], []).append(i)
    return [i for shape in sorted(shapes) for i in shapes[shape][:COLUMNS]]


def _cell(shard: Shard, i: int, row: Mapping[str, Any]) -> Cell:
    bands = {band: stamps[i] for band, stamps in shard.stamps.items()}
    grid = shard.geometry.grids["VIS"]
    radii = [row[f"einstein_radius{source}_arcsec"] for source in (1, 2)] if row["arc_snr"] else []
    radii = [radius for radius in radii if radius]
    # Images of a source lie within about twice the Einstein radius of a lens.
    held = (side for side in _SIDES_ARCSEC if side >= 1.5 + 3 * max(radii, default=0))
    side_arcsec = next(held, _SIDES_ARCSEC[-1])
    colours = composite(bands, grid.pixel_scale_arcsec, side_arcsec)
    left = residual_picture(residual_in_sky(bands["VIS"], grid.pixel_scale_arcsec))
    low = (len(left) - len(colours)) // 2
    numbers = f"\u03b8 {', '.join(f'{radius:.2f}' for radius in radii)}  S/N {row['arc_snr']:.0f}" if radii else ""
    caption = f"#{shard.object_ids[i]} {_words(row['morphology'])}\n{numbers}"
    return Cell(caption, [colours, left[low : low + len(colours), low : low + len(colours)]], side_arcsec)


def _words(morphology: str) -> str:
    return _SHAPES.get(morphology, morphology.replace("_", " "))


def sheet_png(rows: Sequence[tuple[str, Sequence[Cell]]], key: Sequence[str] = ()) -> bytes:
    """Return a PNG of rows of objects with a label at the left of each row.

    Args:
        rows: Label and objects of each row; every object has as many pictures as the first.
        key: Lines below the rows.
    """
    row_inches = len(rows[0][1][0].pictures) * (_INCHES + _GAP_INCHES) + _CAPTION_INCHES
    width = _LABEL_INCHES + max(len(cells) for _, cells in rows) * (_INCHES + _GAP_INCHES)
    width = max(width, _LEAST_INCHES) if key else width
    height = len(rows) * row_inches + _LINE_INCHES * (len(key) + 0.5)
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    # One axis, in inches, holds everything: axes of their own for pictures would take most of the time.
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set_axis_off()
    for number, (label, cells) in enumerate(rows):
        top = height - number * row_inches - _CAPTION_INCHES
        axis.text(0.08, top - _INCHES / 2, label, fontsize=9, va="center")
        for column, cell in enumerate(cells):
            _draw_cell(axis, cell, _LABEL_INCHES + column * (_INCHES + _GAP_INCHES), top)
    for number, line in enumerate(key):
        axis.text(0.08, _LINE_INCHES * (len(key) - number - 0.3), line, fontsize=7.5, va="center")
    axis.set(xlim=(0, width), ylim=(0, height))
    sink = io.BytesIO()
    figure.savefig(sink, format="png", dpi=_DPI, metadata={"Software": None})
    return sink.getvalue()


def _draw_cell(axis: Axes, cell: Cell, left: float, top: float) -> None:
    """Draw an object below `top`, with its caption above, in inches."""
    axis.text(left, top + 0.03, cell.caption, fontsize=7.5, va="bottom", linespacing=1.1)
    for number, picture in enumerate(cell.pictures):
        low = top - number * (_INCHES + _GAP_INCHES) - _INCHES
        extent = (left, left + _INCHES, low, low + _INCHES)
        axis.imshow(picture, origin="lower", interpolation="nearest", extent=extent, aspect="auto", cmap="gray", vmin=0, vmax=1)
        bar = left + 0.06, left + 0.06 + _INCHES / cell.side_arcsec
        axis.plot(bar, (low + 0.06, low + 0.06), color="white", linewidth=1.5, solid_capstyle="butt")
