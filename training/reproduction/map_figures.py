"""Figures of maps beside pictures: occlusion (11-13) and Guided Grad-CAM (17), as Wilde et al. (2022) lay them out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from scanner.explain.explanation import NetworkMaps
from scanner.preprocess.colour_picture import composite
from scanner.vocabulary.geometry import Geometry, Stamps
from scanner.vocabulary.probability_text import probability_text

_INCHES, _TITLE_INCHES, _LABEL_INCHES, _GAP_INCHES = 1.35, 0.34, 0.34, 0.05
_LINES = (0.35, 0.6)
"""Contour levels of VIS on the stretch of colour pictures: 7 and 23 times the noise of the sky."""
_STRONGEST = 99.5
"""Percentile of a map that ends its colours: else one pixel would make all others pale."""


@dataclass(frozen=True)
class Pictured:
    """Objects to draw: names to print above them, and their pixels."""

    names: tuple[str, ...]
    stamps: Stamps
    geometry: Geometry


def occlusion_figure(objects: Pictured, maps: Sequence[NetworkMaps]) -> Figure:
    """Draw a column for each object: its colours, then the occlusion map of each network, on a scale of its own.

    Hiding blue pixels makes a lens less likely, hiding red ones more; white changes nothing.
    """
    figure, axes = _grid(1 + len(maps), len(objects.names))
    _pictures(axes[0], objects)
    for row, of_network in zip(axes[1:], maps, strict=True):
        low = of_network.occlusion_start_arcsec - of_network.side_arcsec / 2
        extent = (low, low + of_network.occlusion_side_arcsec) * 2
        for column, panel in enumerate(row):
            change = of_network.occlusion[column]
            most = max(float(np.percentile(np.abs(change), _STRONGEST)), 1e-9)
            panel.imshow(change, origin="lower", extent=extent, cmap="bwr", vmin=-most, vmax=most)
            _lines(panel, objects, column, "black")
            panel.set_title(f"p {probability_text(of_network.p_lens[column])}, ±{most:.2g}", fontsize=6.5, pad=2)
        row[0].set_ylabel(of_network.network, fontsize=8)
    return figure


def guided_figure(objects: Pictured, maps: NetworkMaps) -> Figure:
    """Draw a column for each object: its colours, and below it the pixels that raise the score of a lens."""
    figure, axes = _grid(2, len(objects.names))
    _pictures(axes[0], objects)
    half = maps.side_arcsec / 2
    for column, panel in enumerate(axes[1]):
        guided = maps.guided[column]
        brightest = max(float(np.percentile(guided, _STRONGEST)), 1e-30)
        panel.imshow(np.sqrt(np.clip(guided / brightest, 0, 1)), origin="lower", extent=(-half, half) * 2, cmap="magma")
        _lines(panel, objects, column, "0.6")
        empty = "" if guided.any() else ", nothing"
        panel.set_title(f"p {probability_text(maps.p_lens[column])}{empty}", fontsize=6.5, pad=2)
    axes[1][0].set_ylabel(maps.network, fontsize=8)
    return figure


def _grid(n_rows: int, n_columns: int) -> tuple[Figure, list[list[Axes]]]:
    """Return a figure of square panels without ticks, `[row][column]`."""
    width = _LABEL_INCHES + n_columns * (_INCHES + _GAP_INCHES)
    height = n_rows * (_INCHES + _TITLE_INCHES)
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    axes = []
    for row in range(n_rows):
        bottom = height - (row + 1) * (_INCHES + _TITLE_INCHES) + _GAP_INCHES
        places = [(_LABEL_INCHES + column * (_INCHES + _GAP_INCHES), bottom, _INCHES, _INCHES) for column in range(n_columns)]
        axes.append([figure.add_axes((x / width, y / height, w / width, h / height)) for x, y, w, h in places])
    for panel in (panel for row in axes for panel in row):
        panel.set(xticks=[], yticks=[])
    return figure, axes


def _pictures(row: Sequence[Axes], objects: Pictured) -> None:
    half = _side_arcsec(objects) / 2
    for column, panel in enumerate(row):
        panel.imshow(_picture(objects, column), origin="lower", extent=(-half, half) * 2)
        panel.plot([-0.9 * half, -0.9 * half + 5], [-0.88 * half] * 2, color="white", linewidth=1.5)
        panel.set_title(objects.names[column], fontsize=6.5, pad=2)
        panel.set(xlim=(-half, half), ylim=(-half, half))
    row[0].set_ylabel("H, Y+J, VIS; bar 5″", fontsize=7)


def _lines(panel: Axes, objects: Pictured, column: int, colour: str) -> None:
    """Draw where VIS is bright, and show the whole stamp."""
    half, vis = _side_arcsec(objects) / 2, _picture(objects, column)[..., 2]
    if levels := [level for level in _LINES if vis.min() < level < vis.max()]:
        panel.contour(vis, levels, colors=colour, linewidths=0.35, origin="lower", extent=(-half, half) * 2)
    panel.set(xlim=(-half, half), ylim=(-half, half))


def _picture(objects: Pictured, row: int) -> NDArray[np.float64]:
    bands = {band: images[row] for band, images in objects.stamps.items()}
    return composite(bands, objects.geometry.grids["VIS"].pixel_scale_arcsec, _side_arcsec(objects))


def _side_arcsec(objects: Pictured) -> float:
    return objects.geometry.grids["VIS"].side_arcsec
