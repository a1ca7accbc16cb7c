"""Maps beside pictures, in the colours of Wilde et al. 2022 (figures 11-13), with pixels picked out as in their figure 17."""

import io
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from scanner.explain.explanation import NetworkMaps
from scanner.preprocess.colour_picture import composite
from scanner.vocabulary.geometry import Geometry, Grid, Stamps

_INCHES = 1.5
GUIDED_SHOWN = 0.05
"""Lowest Guided Grad-CAM of a shown pixel, as a share of the highest; section 5.6 has 0.05 of captum's own unit."""
_DIMMED = 0.15
_LINES = (0.35, 0.5, 0.65, 0.8)
"""Contour levels of VIS on the stretch of colour pictures: 7, 14, 29 and 58 times the noise of the sky."""
_UNKNOWN = "0.8"
"""Grey, shown where no mask is centred."""
_KEY = (
    "blue: supports a lens, red: counts against it, white: changes nothing, each map on its own scale, its largest loss and "
    "gain of log odds below; lines: VIS; bar: 1 arcsec; p of a network: at the prevalence of its training"
)
_KEY_A_COLUMN = 32
"""Number of letters of the key that are as wide as a picture."""
_NAME_LETTERS = 22
"""Number of letters of a title that are as wide as a picture."""
_DPI = 110
_UNNAMED: Mapping[str, dict[str, None]] = MappingProxyType(
    {"png": {"Software": None}, "pdf": {"CreationDate": None, "Producer": None, "Creator": None}}
)
"""Metadata that keeps dates and versions out of the files."""
LEAST_CHANGE = 1e-3
"""Smallest change in log-odds that has a full colour: a hundred times the rounding error of float32 logits."""


@dataclass(frozen=True)
class Shown:
    """Objects, and an ensemble's scores of them."""

    object_ids: Sequence[str]
    """`[batch]`"""
    stamps: Stamps
    """Band to `[batch, y, x]`."""
    geometry: Geometry
    """Geometry of the stamps."""
    ensemble: str
    p_lens: NDArray[np.floating]
    """`[batch]`"""


def explanation_figure(shown: Shown, maps: Sequence[NetworkMaps]) -> Figure:
    """Draw a row for each object: its picture, then for each network its occlusion map and the Guided Grad-CAM pixels.

    In occlusion maps blue squares support a lens, red ones count against it, and white ones change nothing; each map is scaled
    on its own. Lines show where VIS is bright.

    Args:
        shown: The objects.
        maps: Maps of some networks.
    """
    n_objects, n_columns = len(shown.object_ids), 1 + 2 * len(maps)
    key = textwrap.fill(_KEY, _KEY_A_COLUMN * n_columns)
    size = (_INCHES * n_columns, (_INCHES + 0.35) * n_objects + 0.15 * (1 + len(key.splitlines())))
    figure = Figure(figsize=size, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    figure.supxlabel(key, fontsize=6)
    axes = figure.subplots(n_objects, n_columns, squeeze=False)
    grid = shown.geometry.grids["VIS"]
    for row, (object_id, p) in enumerate(zip(shown.object_ids, shown.p_lens, strict=True)):
        bands = {band: images[row] for band, images in shown.stamps.items()}
        picture = composite(bands, grid.pixel_scale_arcsec, grid.side_arcsec)
        _draw_picture(axes[row][0], f"{shortened(object_id)}\n{shortened(shown.ensemble, 14)}: p = {p:.3f}", picture, grid)
        _draw_bar(axes[row][0], grid)
        for number, of_network in enumerate(maps):
            occlusion, guided = axes[row][1 + 2 * number : 3 + 2 * number]
            # The picture's blue is VIS on an asinh stretch.
            _draw_occlusion(occlusion, of_network, row, picture[..., 2], grid)
            _draw_picture(guided, "Guided\nGrad-CAM", _picked_out(picture, grid.side_arcsec, of_network, row), grid)
            if not of_network.guided[row].any():
                guided.text(0, 0, "nothing", color="white", fontsize=8, ha="center", va="center")
    return figure


def shortened(name: str, n_letters: int = _NAME_LETTERS) -> str:
    """Return a name, without its middle if it is long."""
    kept = n_letters - 1
    return name if len(name) <= n_letters else f"{name[: kept - kept // 2]}\u2026{name[len(name) - kept // 2 :]}"


def figure_bytes(figure: Figure, kind: str) -> bytes:
    """Encode a figure as `png` or `pdf`; equal figures give equal bytes."""
    sink = io.BytesIO()
    figure.savefig(sink, format=kind, dpi=_DPI, metadata=_UNNAMED[kind])
    return sink.getvalue()


def pages_bytes(pages: Sequence[Figure], kind: str) -> bytes:
    """Encode pages as `pdf`, or one below the other as `png`; equal figures give equal bytes."""
    if kind == "png":
        return figure_bytes(_stacked(pages), kind)
    sink = io.BytesIO()
    with PdfPages(sink, metadata=_UNNAMED[kind]) as pdf:
        for page in pages:
            pdf.savefig(page)
    return sink.getvalue()


def _stacked(pages: Sequence[Figure]) -> Figure:
    """Stack pages one below the other, with white beside the narrower ones."""
    images = []
    for page in pages:
        canvas = FigureCanvasAgg(page)
        page.set_dpi(_DPI)
        canvas.draw()
        images.append(np.asarray(canvas.buffer_rgba())[..., :3])
    width = max(image.shape[1] for image in images)
    padded = [np.pad(image, ((0, 0), (0, width - image.shape[1]), (0, 0)), constant_values=255) for image in images]
    stacked = np.concatenate(padded)
    figure = Figure(figsize=(width / _DPI, len(stacked) / _DPI), dpi=_DPI)
    FigureCanvasAgg(figure)
    figure.figimage(stacked, origin="upper")
    return figure


def occlusion_colours(occlusion: NDArray[np.floating]) -> TwoSlopeNorm:
    """Put the lowest value at one end, the highest at the other, and 0 in the middle; rounding errors have no colour."""
    return TwoSlopeNorm(0.0, min(float(occlusion.min()), -LEAST_CHANGE), max(float(occlusion.max()), LEAST_CHANGE))


def _draw_occlusion(axis: Axes, maps: NetworkMaps, row: int, vis: NDArray[np.floating], grid: Grid) -> None:
    changes, side = maps.occlusion[row], grid.side_arcsec
    low, covered = maps.occlusion_start_arcsec - maps.side_arcsec / 2, maps.occlusion_side_arcsec
    _show(axis, f"{shortened(maps.network)}\np = {maps.p_lens[row]:.3f}", side)
    axis.set_facecolor(_UNKNOWN)
    extent = (low, low + covered, low, low + covered)
    axis.imshow(changes, origin="lower", cmap="bwr", norm=occlusion_colours(changes), extent=extent)
    if levels := [level for level in _LINES if vis.min() < level < vis.max()]:
        axis.contour(vis, levels, colors="black", linewidths=0.4, origin="lower", extent=_extent(side))
    axis.set_xlabel(f"-{_rounded(-changes.min())}  +{_rounded(changes.max())}", fontsize=6, labelpad=1)


def _rounded(change: float) -> str:
    """Format a loss or a gain; a negative one is 0."""
    return f"{max(change, 0):.1f}" if change >= 0.1 or change <= 0 else f"{change:.1g}"


def _draw_picture(axis: Axes, title: str, picture: NDArray[np.floating], grid: Grid) -> None:
    _show(axis, title, grid.side_arcsec)
    axis.imshow(picture, origin="lower", extent=_extent(grid.side_arcsec))


def _draw_bar(axis: Axes, grid: Grid) -> None:
    """Draw a bar of one arcsec at the lower left."""
    start = -0.45 * grid.side_arcsec
    axis.plot([start, start + 1], [start, start], color="white", linewidth=1.2, solid_capstyle="butt")


def _picked_out(picture: NDArray[np.floating], side_arcsec: float, maps: NetworkMaps, row: int) -> NDArray[np.floating]:
    """Return the picture, `side_arcsec` wide, dimmed where Guided Grad-CAM is low."""
    guided = maps.guided[row]
    n, m = len(picture), len(guided)
    from_middle = (np.arange(n) + 0.5 - n / 2) * (side_arcsec / maps.side_arcsec) / n
    cells = np.clip(np.floor((from_middle + 0.5) * m).astype(int), 0, m - 1)
    is_shown = guided[np.ix_(cells, cells)] >= GUIDED_SHOWN * max(float(guided.max()), 1e-30)
    return np.where(is_shown[..., None], picture, _DIMMED * picture)


def _extent(side: float) -> tuple[float, float, float, float]:
    return -side / 2, side / 2, -side / 2, side / 2


def _show(axis: Axes, title: str, side: float) -> None:
    axis.set_title(title, fontsize=7, parse_math=False)
    axis.set_xticks([])
    axis.set_yticks([])
    axis.set(xlim=(-side / 2, side / 2), ylim=(-side / 2, side / 2))
