"""Draw a picture of a data set: a row of colour composites for each kind of object."""

import io

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from scanner.preprocess.colour_picture import composite
from scanner.sources.shards import Shard

COLUMNS = 10
_INCHES_PER_STAMP = 1.1


def contact_sheet_png(shard: Shard) -> bytes:
    """Return a PNG with up to `COLUMNS` objects of each kind of object (`morphology` of the truth) in the shard.

    Raises:
        ValueError: the shard's truth has no kinds.
    """
    names = shard.truth["morphology"].to_pylist()
    if not any(names):
        raise ValueError("the shard's truth must name kinds of object in its column 'morphology', got none")
    kinds = shard.truth["kind"].to_pylist()
    # Lenses come first; classes, and kinds within a class, are grouped.
    shown = sorted({(kind == "nonlens", kind or "", name) for kind, name in zip(kinds, names, strict=True) if name})
    scale = shard.geometry.grids["VIS"].pixel_scale_arcsec
    rows: list[tuple[str, list[NDArray[np.float64]]]] = []
    for _, kind, name in shown:
        chosen = [i for i, pair in enumerate(zip(kinds, names, strict=True)) if pair == (kind, name)][:COLUMNS]
        rows.append((name, [composite({band: stamps[i] for band, stamps in shard.stamps.items()}, scale) for i in chosen]))
    return picture_png(rows)


def picture_png(rows: list[tuple[str, list[NDArray[np.float64]]]]) -> bytes:
    """Return a PNG of rows of `[y, x, channel]` images with a label at the left of each row."""
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
