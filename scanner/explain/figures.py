"""Maps beside pictures, in the colours of Wilde et al. 2022 (figures 11-13), and what stands out as in their figure 17."""

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from scanner.explain.explanation import NetworkMaps
from scanner.pixels.composite import composite
from scanner.pixels.geometry import Geometry, Stamps

_INCHES = 1.5
GUIDED_SHOWN = 0.05
"""Share of the highest Guided Grad-CAM from which on a pixel is shown; section 5.6 has 0.05 of captum's own unit."""
_DIMMED = 0.15
LEAST_CHANGE = 1e-3
"""In log odds, that has a full colour: a hundred times what float32 rounds logits by."""


def explanation_figure(
    object_ids: Sequence[str], p_lens: NDArray[np.floating], stamps: Stamps, geometry: Geometry, maps: Sequence[NetworkMaps]
) -> Figure:
    """A row for each object: its picture, then for each network its occlusion map and what Guided Grad-CAM picks out.

    Blue pixels support a lens, red ones speak against it, and what changes nothing is white; each map is scaled on its own.

    Args:
        object_ids: `[batch]`.
        p_lens: `[batch]`, of the ensemble.
        stamps: Band to `[batch, y, x]`.
        geometry: Of the stamps.
        maps: Of some networks.
    """
    n_columns = 1 + 2 * len(maps)
    figure = Figure(figsize=(_INCHES * n_columns, (_INCHES + 0.25) * len(object_ids)), facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(object_ids), n_columns, squeeze=False)
    scale = geometry.grids["VIS"].pixel_scale_arcsec
    for row, (object_id, p) in enumerate(zip(object_ids, p_lens, strict=True)):
        side = geometry.grids["VIS"].side_arcsec
        picture = composite({band: images[row] for band, images in stamps.items()}, scale, side)
        _show(axes[row][0], f"{object_id}\np = {p:.3f}")
        axes[row][0].imshow(picture, origin="lower", extent=_extent(side))
        for number, of_network in enumerate(maps):
            occlusion, guided = axes[row][1 + 2 * number : 3 + 2 * number]
            _show(occlusion, f"{of_network.network}\n{of_network.p_lens[row]:.3f}")
            _draw_occlusion(occlusion, of_network, row)
            _show(guided, "Guided\nGrad-CAM")
            guided.imshow(_picked_out(picture, of_network.guided[row]), origin="lower", extent=_extent(side))
    return figure


def figure_bytes(figure: Figure, kind: str) -> bytes:
    """As `png` or `pdf`; equal figures give equal bytes."""
    sink = io.BytesIO()
    unnamed = {"png": {"Software": None}, "pdf": {"CreationDate": None, "Producer": None, "Creator": None}}[kind]
    figure.savefig(sink, format=kind, dpi=110, metadata=unnamed)
    return sink.getvalue()


def occlusion_colours(occlusion: NDArray[np.floating]) -> TwoSlopeNorm:
    """The lowest value at one end, the highest at the other, and 0 in the middle; what rounding makes stays white."""
    return TwoSlopeNorm(0.0, min(float(occlusion.min()), -LEAST_CHANGE), max(float(occlusion.max()), LEAST_CHANGE))


def _draw_occlusion(axis: Axes, maps: NetworkMaps, row: int) -> None:
    low, covered = -maps.side_arcsec / 2, maps.occlusion_side_arcsec
    shown = maps.occlusion[row]
    extent = (low, low + covered, low, low + covered)
    axis.imshow(shown, origin="lower", cmap="bwr", norm=occlusion_colours(shown), extent=extent)
    axis.set_xlim(low, -low)
    axis.set_ylim(low, -low)


def _picked_out(picture: NDArray[np.floating], guided: NDArray[np.floating]) -> NDArray[np.floating]:
    """The picture, dimmed where Guided Grad-CAM says little."""
    y, x = ((2 * np.arange(n) + 1) * m // (2 * n) for n, m in zip(picture.shape, guided.shape, strict=False))
    is_shown = guided[np.ix_(y, x)] >= GUIDED_SHOWN * max(float(guided.max()), 1e-30)
    return np.where(is_shown[..., None], picture, _DIMMED * picture)


def _extent(side: float) -> tuple[float, float, float, float]:
    return -side / 2, side / 2, -side / 2, side / 2


def _show(axis: Axes, title: str) -> None:
    axis.set_title(title, fontsize=7, parse_math=False)
    axis.set_xticks([])
    axis.set_yticks([])
