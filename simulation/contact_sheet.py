"""A picture of a data set: a row of colour composites for each kind of object."""

import io

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from scanner.pixels.geometry import Stamps
from scanner.pixels.resample import regrid, resize_operator
from scanner.pixels.shards import Shard

COLUMNS = 10
SHOWN_ARCSEC = 10.0
"""Side of the square shown about the centre: a lens fills it."""
_INCHES_PER_STAMP = 1.1
_SOFTENING = 4.0
"""Sky deviations at which the stretch turns from linear to logarithmic."""
_WHITE = 150.0
"""Sky deviations shown white."""


def contact_sheet_png(shard: Shard) -> bytes:
    """PNG with up to `COLUMNS` objects of each kind of object (`morphology` of the truth) that the shard holds.

    Raises:
        ValueError: the shard names no kinds.
    """
    names = shard.truth["morphology"].to_pylist()
    if not any(names):
        raise ValueError("the shard's truth names no kind of object")
    kinds = shard.truth["kind"].to_pylist()
    # Lenses first, each class and within it each kind together.
    shown = sorted({(kind == "nonlens", kind or "", name) for kind, name in zip(kinds, names, strict=True) if name})
    scale = shard.geometry.grids["VIS"].pixel_scale_arcsec
    rows: list[tuple[str, list[NDArray[np.float64]]]] = []
    for _, kind, name in shown:
        chosen = [i for i, pair in enumerate(zip(kinds, names, strict=True)) if pair == (kind, name)][:COLUMNS]
        rows.append((name, [composite({band: stamps[i] for band, stamps in shard.stamps.items()}, scale) for i in chosen]))
    return picture_png(rows)


def picture_png(rows: list[tuple[str, list[NDArray[np.float64]]]]) -> bytes:
    """PNG of rows of `[y, x, channel]` images with a label at the left of each."""
    columns = max(len(images) for _, images in rows)
    height = _INCHES_PER_STAMP * len(rows)
    figure = Figure(figsize=(_INCHES_PER_STAMP * (columns + 0.9), height), facecolor="white")
    FigureCanvasAgg(figure)
    left = 0.9 / (columns + 0.9)
    axes = figure.subplots(
        len(rows),
        columns,
        squeeze=False,
        gridspec_kw={
            "left": left,
            "right": 0.998,
            "bottom": 0.02 / height,
            "top": 1 - 0.02 / height,
            "wspace": 0.02,
            "hspace": 0.02,
        },
    )
    for axis in axes.ravel():
        axis.set_axis_off()
    for number, (name, images) in enumerate(rows):
        axes[number][0].text(
            -0.06, 0.5, name.replace("_", "\n"), transform=axes[number][0].transAxes, ha="right", va="center", fontsize=8
        )
        for axis, image in zip(axes[number], images, strict=False):
            axis.imshow(image, origin="lower", interpolation="nearest")
    sink = io.BytesIO()
    figure.savefig(sink, format="png", dpi=100, metadata={"Software": None})
    return sink.getvalue()


def composite(bands: Stamps, vis_scale_arcsec: float, shown_arcsec: float = SHOWN_ARCSEC) -> NDArray[np.float64]:
    """`[y, x, channel]` in 0-1: H in red, J and Y in green, VIS in blue, each in units of its own sky, asinh.

    One stretch for every image, simulated or real. NISP bands on coarser pixels are shown on those of VIS.

    Args:
        bands: Band name to `[y, x]`, all about one centre.
        vis_scale_arcsec: Pixel of the VIS image.
        shown_arcsec: Side of the square shown.
    """
    vis = _middle(bands["VIS"], round(shown_arcsec / vis_scale_arcsec))
    side = bands["VIS"].shape[-1]
    on_vis = {band: bands[band] if bands[band].shape[-1] == side else _enlarged(bands[band], side) for band in ("Y", "J", "H")}
    nisp = {band: _in_sky(_middle(image, len(vis)), bands[band]) for band, image in on_vis.items()}
    # A VIS pixel has less of a red galaxy's signal than a NISP pixel: this makes a typical galaxy neutral.
    red, green, blue = nisp["H"] * 0.55, (nisp["Y"] + nisp["J"]) * 0.35, _in_sky(vis, bands["VIS"])
    return np.stack([_stretched(channel) for channel in (red, green, blue)], axis=-1)


def _enlarged(image: NDArray[np.float32], n_pixels: int) -> NDArray[np.float32]:
    return regrid(image[None], resize_operator(len(image), n_pixels))[0]


def _middle(image: NDArray[np.float32], n_pixels: int) -> NDArray[np.float32]:
    low = max((len(image) - n_pixels) // 2, 0)
    return image[low : low + n_pixels, low : low + n_pixels]


def _in_sky(image: NDArray[np.float32], whole: NDArray[np.float32]) -> NDArray[np.float64]:
    """In standard deviations of the sky of the whole image, of which masked pixels, exactly zero, tell nothing."""
    seen = whole[whole != 0]
    low, middle = np.percentile(seen, [10, 40]) if seen.size else (0.0, 0.0)
    # Objects are few below the median: 10 % and 40 % of a Gaussian lie 1.28 and 0.25 deviations below its mean.
    sigma = max((middle - low) / (1.2816 - 0.2533), 1e-12)
    return np.asarray((image - middle - 0.2533 * sigma) / sigma, np.float64)


def _stretched(in_sky: NDArray[np.float64]) -> NDArray[np.float64]:
    scaled = np.arcsinh(in_sky / _SOFTENING) / np.arcsinh(_WHITE / _SOFTENING)
    return np.clip(0.08 + 0.92 * scaled, 0, 1)
