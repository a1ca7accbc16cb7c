"""Maps over VIS, in the colours of Wilde et al. 2022 (figures 11-13), and what stands out as in their figure 17."""

import io
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.colors import ListedColormap, TwoSlopeNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from scanner.explain.explanation import NetworkMaps
from scanner.pixels.composite import composite
from scanner.pixels.geometry import Geometry, Stamps

_INCHES = 1.5
GUIDED_SHOWN = 0.05
"""Share of the highest Guided Grad-CAM from which on a pixel is shown; section 5.6 has 0.05 of captum's own unit."""
_DIMMED = 0.15
_SUPPORTS_OR_NOT = ListedColormap(["blue", "red"])
_DPI = 110
_UNNAMED: Mapping[str, dict[str, None]] = MappingProxyType(
    {"png": {"Software": None}, "pdf": {"CreationDate": None, "Producer": None, "Creator": None}}
)
"""Neither dates nor versions in files."""
LEAST_CHANGE = 1e-3
"""In log odds, that has a full colour: a hundred times what float32 rounds logits by."""


def explanation_figure(
    object_ids: Sequence[str], p_lens: NDArray[np.floating], stamps: Stamps, geometry: Geometry, maps: Sequence[NetworkMaps]
) -> Figure:
    """A row for each object: its picture, then for each network its occlusion map over VIS and what Guided Grad-CAM picks out.

    Blue pixels support a lens, red ones speak against it, and what changes nothing lets the grey of VIS through; each map is
    scaled on its own.

    Args:
        object_ids: `[batch]`.
        p_lens: `[batch]`, of the ensemble.
        stamps: Band to `[batch, y, x]`.
        geometry: Of the stamps.
        maps: Of some networks.
    """
    n_columns = 1 + 2 * len(maps)
    size = (_INCHES * n_columns, (_INCHES + 0.25) * len(object_ids) + 0.15)
    figure = Figure(figsize=size, facecolor="white", layout="constrained")
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
            # The picture's blue is VIS on an asinh stretch.
            occlusion.imshow(picture[..., 2], origin="lower", cmap="gray", vmin=0, vmax=1, extent=_extent(side))
            _draw_occlusion(occlusion, of_network, row)
            _show(guided, "Guided\nGrad-CAM")
            guided.imshow(_picked_out(picture, side, of_network, row), origin="lower", extent=_extent(side))
    return figure


def figure_bytes(figure: Figure, kind: str) -> bytes:
    """As `png` or `pdf`; equal figures give equal bytes."""
    sink = io.BytesIO()
    figure.savefig(sink, format=kind, dpi=_DPI, metadata=_UNNAMED[kind])
    return sink.getvalue()


def pages_bytes(pages: Sequence[Figure], kind: str) -> bytes:
    """As `pdf`, or one below the other as `png`; equal figures give equal bytes."""
    if kind == "png":
        return figure_bytes(_stacked(pages), kind)
    sink = io.BytesIO()
    with PdfPages(sink, metadata=_UNNAMED[kind]) as pdf:
        for page in pages:
            pdf.savefig(page)
    return sink.getvalue()


def _stacked(pages: Sequence[Figure]) -> Figure:
    """One below the other, with white beside the narrower ones."""
    drawn = []
    for page in pages:
        canvas = FigureCanvasAgg(page)
        page.set_dpi(_DPI)
        canvas.draw()
        drawn.append(np.asarray(canvas.buffer_rgba())[..., :3])
    width = max(one.shape[1] for one in drawn)
    whole = np.concatenate([np.pad(one, ((0, 0), (0, width - one.shape[1]), (0, 0)), constant_values=255) for one in drawn])
    figure = Figure(figsize=(width / _DPI, len(whole) / _DPI), dpi=_DPI)
    FigureCanvasAgg(figure)
    figure.figimage(whole, origin="upper")
    return figure


def occlusion_colours(occlusion: NDArray[np.floating]) -> TwoSlopeNorm:
    """The lowest value at one end, the highest at the other, and 0 in the middle; what rounding makes has no colour."""
    return TwoSlopeNorm(0.0, min(float(occlusion.min()), -LEAST_CHANGE), max(float(occlusion.max()), LEAST_CHANGE))


def _draw_occlusion(axis: Axes, maps: NetworkMaps, row: int) -> None:
    shown, limits = maps.occlusion[row], axis.axis()
    norm = occlusion_colours(shown)
    low, covered = maps.occlusion_start_arcsec - maps.side_arcsec / 2, maps.occlusion_side_arcsec
    opacity = np.abs(2 * norm(shown) - 1)
    axis.imshow(
        shown, origin="lower", cmap=_SUPPORTS_OR_NOT, norm=norm, alpha=opacity, extent=(low, low + covered, low, low + covered)
    )
    axis.axis(limits)


def _picked_out(picture: NDArray[np.floating], side_arcsec: float, maps: NetworkMaps, row: int) -> NDArray[np.floating]:
    """The picture, of that side, dimmed where Guided Grad-CAM says little."""
    guided = maps.guided[row]
    n, m = len(picture), len(guided)
    from_middle = (np.arange(n) + 0.5 - n / 2) * (side_arcsec / maps.side_arcsec) / n
    places = np.clip(np.floor((from_middle + 0.5) * m).astype(int), 0, m - 1)
    is_shown = guided[np.ix_(places, places)] >= GUIDED_SHOWN * max(float(guided.max()), 1e-30)
    return np.where(is_shown[..., None], picture, _DIMMED * picture)


def _extent(side: float) -> tuple[float, float, float, float]:
    return -side / 2, side / 2, -side / 2, side / 2


def _show(axis: Axes, title: str) -> None:
    axis.set_title(title, fontsize=7, parse_math=False)
    axis.set_xticks([])
    axis.set_yticks([])
