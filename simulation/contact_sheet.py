"""A picture of a data set: a row of objects for each kind, VIS above NISP in colour."""

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from scanner.pixels.shards import KINDS, Shard

COLUMNS = 8
_CENTRE_FRACTION = 0.5
"""The middle 10 arcsec are shown: a lens fills them."""


def contact_sheet_png(shard: Shard) -> bytes:
    """PNG with up to `COLUMNS` objects of each kind that the shard holds.

    Raises:
        ValueError: the shard states no kinds.
    """
    kinds = shard.truth["kind"].to_pylist()
    shown = [(kind, [i for i, k in enumerate(kinds) if k == kind][:COLUMNS]) for kind in KINDS]
    shown = [(kind, rows) for kind, rows in shown if rows]
    if not shown:
        raise ValueError("the shard's truth names no kind of object")
    figure = Figure(figsize=(1.5 * COLUMNS, 3.2 * len(shown)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2 * len(shown), COLUMNS, squeeze=False)
    for axis in axes.ravel():
        axis.set_axis_off()
    for number, (kind, rows) in enumerate(shown):
        axes[2 * number][0].set_title(kind, loc="left", fontsize=9)
        for column, row in enumerate(rows):
            vis = [_centre(shard.stamps["VIS"][row])]
            nisp = [_centre(shard.stamps[band][row]) for band in ("H", "J", "Y")]
            axes[2 * number][column].imshow(_stretched(vis)[..., 0], origin="lower", cmap="gray")
            axes[2 * number + 1][column].imshow(_stretched(nisp), origin="lower")
    sink = io.BytesIO()
    figure.savefig(sink, format="png", dpi=90, metadata={"Software": None})
    return sink.getvalue()


def _centre(image: NDArray[np.float32]) -> NDArray[np.float32]:
    n = len(image)
    margin = round(n * (1 - _CENTRE_FRACTION) / 2)
    return image[margin : n - margin, margin : n - margin]


def _stretched(images: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    """`[y, x, channel]` in 0-1: asinh of each image in units of its noise."""
    channels = []
    for image in images:
        low, middle = np.percentile(image, [16, 50])
        scaled = np.arcsinh((image - middle) / max(middle - low, 1e-12) / 3)
        channels.append(np.clip((scaled + 0.5) / 4.0, 0, 1))
    return np.stack(channels, axis=-1)
