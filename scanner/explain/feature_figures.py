"""Feature visualisations of networks as pages of pictures, laid out as figures 14-16 of Wilde et al. 2022."""

from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from scanner.explain.feature_visualisation import FeatureVisualisation, InputImage, bounds
from scanner.explain.figures import shortened
from scanner.preprocess.channel import Channel
from scanner.vocabulary.probability_text import probability_text

Picture = NDArray[np.float32]
"""`[y, x, colour]` in 0-1."""
Cell = tuple[str, Picture]
"""Title above a picture, and the picture."""

_BRIGHTENED = 2.5
"""Deep Dreams on a linear scale are shown brighter by 150 %, as in figure 16."""
_INCHES = 1.2
"""Height of a picture."""
_KERNEL_INCHES = 0.45
_KERNELS_A_ROW = 10
_TITLE_INCHES = 0.35
"""Smallest height of the title above a picture."""
_LINE_INCHES = 0.11
_LEAST_INCHES = 5.0
"""Smallest width of a page, for its title."""
_GAP = 0.05
"""Gap between pictures, as a share of their width."""


def feature_figures(shown: FeatureVisualisation, object_ids: Sequence[str] = ()) -> list[Figure]:
    """Draw a page for the first kernels, one for the class images, one for the kernels and, if there are objects, Deep Dreams.

    Every picture shows the channels of the network's input side by side, y up. If the network reads all three NISP bands, they
    form one colour picture: H in red, J in green and Y in blue. The other channels are grey.

    Args:
        shown: Visualisation of one network.
        object_ids: Ids of the objects, `[batch]`.
    """
    title = f"{shown.card.name} ({', '.join(label for label, _ in _groups(shown.card.channels))})"
    beside = ", and the object that most activates each kernel" if object_ids else ""
    pages = [
        page(f"{title}: first kernels, each on a scale of its own, 0 in grey", _first_kernel_cells(shown), _KERNEL_INCHES),
        page(f"{title}: class generated images", _class_cells(shown)),
        page(f"{title}: generated kernel images{beside}", _kernel_cells(shown, object_ids)),
    ]
    return [*pages, page(f"{title}: Deep Dream", _dream_cells(shown, object_ids))] if shown.dreams else pages


def picture(image: InputImage, channels: Sequence[Channel], brightness: float = 1.0) -> Picture:
    """Draw channels side by side, with a white gap; each from black at its lower bound to white at its upper one.

    Args:
        image: `[channel, y, x]`.
        channels: Channels that the network reads.
        brightness: Factor for channels on a linear scale.
    """
    low, high = bounds(channels)
    gains = np.array([brightness if channel.scaling == "min_max" else 1.0 for channel in channels], np.float32)
    return _side_by_side(np.clip((image - low) / (high - low) * gains[:, None, None], 0, 1), channels)


def _side_by_side(shares: InputImage, channels: Sequence[Channel]) -> Picture:
    n = shares.shape[1]
    gap = np.ones((n, max(1, n // 25), 3), np.float32)
    parts = [part for _, rgb in _groups(channels) for part in (gap, np.moveaxis(shares[list(rgb)], 0, -1))]
    return np.concatenate(parts[1:], axis=1)


def _groups(channels: Sequence[Channel]) -> list[tuple[str, tuple[int, int, int]]]:
    """Return the groups of channels that are shown together: name, and the channels shown in red, green and blue."""
    first: dict[str, int] = {}
    for index, channel in enumerate(channels):
        first.setdefault(channel.band, index)
    together = tuple(first[band] for band in ("H", "J", "Y") if band in first)
    has_colour = len(together) == 3
    groups: list[tuple[str, tuple[int, int, int]]] = [("NISP", (together[0], together[1], together[2]))] if has_colour else []
    for index, channel in enumerate(channels):
        if not has_colour or index not in together:
            is_first = first[channel.band] == index
            groups.append((channel.band if is_first else f"{channel.band} {channel.scaling}", (index, index, index)))
    return groups


def _first_kernel_cells(shown: FeatureVisualisation) -> list[list[Cell]]:
    kernels = shown.first_kernels
    largest = np.maximum(np.abs(kernels).max(axis=(1, 2, 3), keepdims=True), 1e-30)
    shares = 0.5 + 0.5 * kernels / largest
    cells = [(f"kernel {i}", _side_by_side(kernel, shown.card.channels)) for i, kernel in enumerate(shares)]
    return [cells[i : i + _KERNELS_A_ROW] for i in range(0, len(cells), _KERNELS_A_ROW)]


def _class_cells(shown: FeatureVisualisation) -> list[list[Cell]]:
    channels = shown.card.channels
    return [
        [(f"p({name}) {probability_text(shown.class_p[i, i])}", picture(shown.class_images[i], channels))]
        for i, name in enumerate(shown.card.classes)
    ]


def _kernel_cells(shown: FeatureVisualisation, object_ids: Sequence[str]) -> list[list[Cell]]:
    """Return a row of cells for each layer."""
    channels = shown.card.channels
    rows: dict[str, list[Cell]] = {}
    for kernel in shown.kernels:
        row = rows.setdefault(kernel.layer, [])
        row.append((f"[layer {kernel.layer} kernel {kernel.kernel}]", picture(kernel.generated, channels)))
        if kernel.object_index is not None and kernel.object_input is not None:
            row.append((shortened(object_ids[kernel.object_index]), picture(kernel.object_input, channels)))
    return list(rows.values())


def _dream_cells(shown: FeatureVisualisation, object_ids: Sequence[str]) -> list[list[Cell]]:
    """Return a row of cells for each object."""
    names = ("as it is", *(f"towards {name}" for name in shown.card.classes))
    return [
        [
            (
                f"{shortened(object_ids[row.object_index])}\n{name}\np(lens) {probability_text(1 - p[0])}",
                picture(image, shown.card.channels, _BRIGHTENED),
            )
            for name, image, p in zip(names, row.images, row.p, strict=True)
        ]
        for row in shown.dreams
    ]


def page(title: str, cells: Sequence[Sequence[Cell]], inches: float = _INCHES) -> Figure:
    """Lay out pictures of one shape in rows; each is `inches` high."""
    n_rows, n_columns = len(cells), max(len(row) for row in cells)
    height, width, _ = cells[0][0][1].shape
    n_lines = max(above.count("\n") + 1 for row in cells for above, _ in row)
    title_inches = max(_TITLE_INCHES, _LINE_INCHES * (n_lines + 1))
    size = (
        max(n_columns * (1 + _GAP) * inches * width / height, _LEAST_INCHES),
        n_rows * (inches + title_inches) + title_inches,
    )
    figure = Figure(figsize=size, facecolor="white")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=8, y=1 - 0.3 * title_inches / size[1], va="center", parse_math=False)
    # Margins are set by hand: the layout engines take seconds for a page.
    spaces = {"wspace": _GAP, "hspace": title_inches / inches, "left": 0.01, "right": 0.99}
    grid = spaces | {"bottom": 0.5 * title_inches / size[1], "top": 1 - 2 * title_inches / size[1]}
    for axes, row in zip(figure.subplots(n_rows, n_columns, squeeze=False, gridspec_kw=grid), cells, strict=True):
        for axis in axes:
            axis.set_axis_off()
        for axis, (above, shown) in zip(axes, row, strict=False):
            axis.set_title(above, fontsize=6, pad=3, parse_math=False)
            axis.imshow(shown, origin="lower", interpolation="nearest")
    return figure
