"""Maps beside pictures: what is where, and what speaks for a lens, in the colours of Wilde et al. 2022 (figures 11-13)."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from scanner.explain.explanation import NetworkMaps
from scanner.explain.shared_scale import drawn_maps, guided_end, occlusion_end
from scanner.preprocess.colour_picture import composite
from scanner.preprocess.residual import RESIDUAL_STRETCH, residual_in_sky, residual_picture
from scanner.vocabulary.geometry import Geometry, Stamps
from scanner.vocabulary.kinds import KIND_WORDS
from scanner.vocabulary.probability_text import probability_text

MOST_EXPLAINED = 24
"""Largest number of objects in one explanation: each takes a row of its figure."""
_PANEL_INCHES, _WIDE_PANEL_INCHES = 1.6, 2.1
"""Sides of panels of up to 10 arcsec, and of wider ones."""
_GAP_INCHES, _TITLE_INCHES, _KEY_INCHES, _MARGIN_INCHES = 0.06, 0.34, 1.25, 0.12
_LEAST_INCHES = 6.6
"""Smallest width of a figure, for its key."""
_OBJECT_COLUMNS = 2
"""Number of columns with pictures, before those of maps."""
_LINES = (0.35, 0.5, 0.65, 0.8)
"""Contour levels of VIS on the stretch of colour pictures: 7, 14, 29 and 58 times the noise of the sky."""
_UNKNOWN = "0.8"
"""Grey, shown where no mask is centred."""
_OCCLUSION_COLOURS, _GUIDED_COLOURS = "bwr", "magma"
_GUIDED_POWER = 0.5
"""Colours of Guided Grad-CAM go with the root of its values: most of a map is in few pixels."""
_BLACK, _WHITE = RESIDUAL_STRETCH
_KEY = (
    "Lines: where VIS is 7, 14, 29 and 58 times the noise of the sky. Bar: 1 arcsec. Numbers on an occlusion map: its largest "
    "loss and gain. VIS without the galaxy: smooth ellipses were subtracted in the middle; from "
    f"{_BLACK:g} (black) to {_WHITE:g} (white) times the noise, arcs are bright."
)
_NAME_LETTERS = 22
"""Number of letters of a title that are as wide as a panel."""
_CAPTION_FONTS = (7.5, 6.5, 5.5, 4.5)
"""Sizes of the letters of captions in points, of which the largest that fits is taken."""
_LETTER_INCHES = 0.058
"""Mean width of a letter of the largest size, rounded up."""


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
    prior: str = ""
    """Words that say which fraction of lenses `p_lens` assumes."""
    numbers: str = ""
    """Words that say what the networks' `p_lens` mean and how they become one."""
    kinds: Sequence[str] | None = None
    """Kind of each object, `[batch]`, if the ensemble tells kinds apart."""
    notes: Sequence[Sequence[str]] | None = None
    """Warnings about each object, `[batch]`, such as of misaligned bands."""
    corrections: Sequence[str] | None = None
    """Words on how the `p_lens` of each object was corrected, `[batch]`; empty where it was not."""


def explanation_figure(shown: Shown, maps: Sequence[NetworkMaps]) -> Figure:
    """Draw two rows for each object: pictures, then the occlusion maps of the networks above their Guided Grad-CAM.

    The pictures are the colours, VIS, VIS without the galaxy, and a caption. Maps have one scale in the whole figure, which
    colour bars state; if there are several networks, the mean of their maps comes first. Lines show where VIS is bright.

    Args:
        shown: The objects.
        maps: Maps of some networks.
    """
    drawn = drawn_maps(maps)
    page = _Page(len(shown.object_ids), _OBJECT_COLUMNS + len(drawn), shown.geometry.grids["VIS"].side_arcsec)
    colours = Normalize(-occlusion_end(drawn), occlusion_end(drawn)), PowerNorm(_GUIDED_POWER, 0, guided_end(drawn))
    pixel_arcsec = shown.geometry.grids["VIS"].pixel_scale_arcsec
    for row, object_id in enumerate(shown.object_ids):
        bands = {band: images[row] for band, images in shown.stamps.items()}
        picture = composite(bands, pixel_arcsec, page.side_arcsec)
        # The picture's blue is VIS on an asinh stretch.
        vis = picture[..., 2]
        page.picture(2 * row, 0, picture, "H, Y + J, VIS")
        page.picture(2 * row + 1, 0, vis, "", "VIS")
        page.picture(2 * row, 1, residual_picture(residual_in_sky(bands["VIS"], pixel_arcsec)), "VIS without the galaxy")
        page.caption(2 * row + 1, 1, object_id, _caption(shown, row), (shown.notes or [()] * (row + 1))[row])
        for column, of_some in enumerate(drawn, _OBJECT_COLUMNS):
            p = "together" if of_some.p_lens is None else f"p {probability_text(of_some.p_lens[row])}"
            title = f"{shortened(of_some.name)}\n{p}"
            page.map(2 * row, column, of_some.occlusion[row], of_some.occlusion_extent, colours[0], vis, title)
            page.map(2 * row + 1, column, of_some.guided[row], of_some.guided_extent, colours[1], vis)
    page.key(*colours, f"{_KEY} {shown.numbers}")
    return page.figure


def shortened(name: str, n_letters: int = _NAME_LETTERS) -> str:
    """Return a name, without its middle if it is long."""
    kept = n_letters - 1
    return name if len(name) <= n_letters else f"{name[: kept - kept // 2]}\u2026{name[len(name) - kept // 2 :]}"


def _caption(shown: Shown, row: int) -> list[str]:
    """Return the paragraphs below the id of an object."""
    kind = [f"kind: {KIND_WORDS[shown.kinds[row]]}"] if shown.kinds else []
    p_lens = probability_text(shown.p_lens[row])
    correction = shown.corrections[row] if shown.corrections else ""
    parts = (f"p_lens {p_lens} by {shown.ensemble}", shown.prior, correction)
    return [*(words for words in parts if words), *kind]


class _Page:
    """A figure with panels of one size, two rows for each object, and a key at the bottom. Sizes are in inches."""

    def __init__(self, n_objects: int, n_columns: int, side_arcsec: float) -> None:
        self.side_arcsec = side_arcsec
        self._panel = _PANEL_INCHES if side_arcsec <= 10 else _WIDE_PANEL_INCHES
        self._block = _TITLE_INCHES + 2 * (self._panel + _GAP_INCHES) + _MARGIN_INCHES
        self._width = max(n_columns * (self._panel + _GAP_INCHES) + 2 * _MARGIN_INCHES, _LEAST_INCHES)
        self._height = n_objects * self._block + _KEY_INCHES
        self.figure = Figure(figsize=(self._width, self._height), facecolor="white")
        FigureCanvasAgg(self.figure)

    def picture(self, row: int, column: int, picture: NDArray[np.floating], title: str, label: str = "") -> None:
        """Draw a picture, in colour or in grey from 0 to 1, with a bar of one arcsec."""
        axis = self._panel_at(row, column, title)
        axis.imshow(picture, origin="lower", extent=self._whole(), cmap="gray", vmin=0, vmax=1)
        start = -0.45 * self.side_arcsec
        axis.plot([start, start + 1], [start, start], color="white", linewidth=1.5, solid_capstyle="butt")
        self._label(axis, label, color="white")

    def caption(self, row: int, column: int, name: str, paragraphs: Sequence[str], notes: Sequence[str]) -> None:
        """Write about an object where a panel could be, in letters so small that all fits; notes are red."""
        axis = self._axis(row, column)
        axis.set_axis_off()
        for font in _CAPTION_FONTS:
            line_inches, n_letters = font / 60, int(0.95 * self._panel / _LETTER_INCHES * _CAPTION_FONTS[0] / font)
            # Bold letters and digits are wider.
            lines = [(line, "black", "bold") for line in textwrap.wrap(name, int(0.75 * n_letters))[:3]]
            for texts, colour in ((paragraphs, "black"), (notes, "red")):
                lines += [(line, colour, "normal") for text in texts for line in textwrap.wrap(text, n_letters)]
            if len(lines) * line_inches <= self._panel:
                break
        for number, (line, colour, weight) in enumerate(lines):
            place = (0.02, 0.97 - number * line_inches / self._panel)
            axis.text(*place, line, color=colour, weight=weight, fontsize=font, va="top", parse_math=False)

    def map(
        self,
        row: int,
        column: int,
        values: NDArray[np.floating],
        extent: tuple[float, float, float, float],
        colours: Normalize,
        vis: NDArray[np.floating],
        title: str = "",
    ) -> None:
        """Draw an occlusion map, with its extremes, or a Guided Grad-CAM, and lines where VIS is bright."""
        axis = self._panel_at(row, column, title)
        axis.set_facecolor(_UNKNOWN)
        is_occlusion = colours.vmin != 0
        palette = _OCCLUSION_COLOURS if is_occlusion else _GUIDED_COLOURS
        axis.imshow(values, origin="lower", cmap=palette, norm=colours, extent=extent)
        if levels := [level for level in _LINES if vis.min() < level < vis.max()]:
            line = "black" if is_occlusion else "0.6"
            axis.contour(vis, levels, colors=line, linewidths=0.4, origin="lower", extent=self._whole())
        if is_occlusion:
            self._label(axis, "occlusion")
            extremes = f"{-_rounded(-np.nanmin(values)):g}  +{_rounded(np.nanmax(values)):g}"
            self._label(axis, extremes, low=True)
        else:
            self._label(axis, "Guided Grad-CAM" if values.any() else "Guided Grad-CAM: nothing", color="white")

    def key(self, occlusion: Normalize, guided: Normalize, text: str) -> None:
        """Draw the two colour bars and the text at the bottom."""
        half = self._width / 2
        self._colour_bar(_MARGIN_INCHES, half, occlusion, _OCCLUSION_COLOURS, "both", "change of the log odds of a lens")
        self._colour_bar(half, half, guided, _GUIDED_COLOURS, "max", "percent of the map in a square arcsec")
        texts = (
            (_MARGIN_INCHES, "Occlusion: hiding this square makes a lens\nless likely (blue) or more likely (red)"),
            (half, "Guided Grad-CAM: pixels that raise the score\n(each map adds up to 100 percent)"),
        )
        for left, words in texts:
            self.figure.text(left / self._width, (_KEY_INCHES - 0.02) / self._height, words, fontsize=7.5, va="top")
        below = textwrap.fill(text, int((self._width - 2 * _MARGIN_INCHES) / 0.048))
        self.figure.text(_MARGIN_INCHES / self._width, 0.05 / self._height, below, fontsize=6.5, va="bottom")

    def _colour_bar(self, left: float, width: float, colours: Normalize, palette: str, extend: str, label: str) -> None:
        place = (left, _KEY_INCHES - 0.48, min(width - 4 * _MARGIN_INCHES, 3.2), 0.1)
        axis = self.figure.add_axes(self._share(place))
        bar = self.figure.colorbar(ScalarMappable(colours, palette), cax=axis, orientation="horizontal", extend=extend)
        shares = (0, 0.05, 0.2, 0.5, 1) if colours.vmin == 0 else (-1, -0.5, 0, 0.5, 1)
        ticks = [share * float(colours.vmax or 1) for share in shares]
        bar.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
        bar.set_label(label, fontsize=7, labelpad=1)
        bar.ax.tick_params(labelsize=7, pad=1, length=2)

    def _panel_at(self, row: int, column: int, title: str) -> Axes:
        axis = self._axis(row, column)
        axis.set_title(title, fontsize=7.5, pad=2, parse_math=False)
        axis.set(xticks=[], yticks=[], xlim=self._whole()[:2], ylim=self._whole()[:2])
        return axis

    def _axis(self, row: int, column: int) -> Axes:
        top = self._height - row // 2 * self._block - _TITLE_INCHES - row % 2 * (self._panel + _GAP_INCHES)
        left = _MARGIN_INCHES + column * (self._panel + _GAP_INCHES)
        return self.figure.add_axes(self._share((left, top - self._panel, self._panel, self._panel)))

    def _share(self, place: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        left, low, width, height = place
        return left / self._width, low / self._height, width / self._width, height / self._height

    def _whole(self) -> tuple[float, float, float, float]:
        half = self.side_arcsec / 2
        return -half, half, -half, half

    @staticmethod
    def _label(axis: Axes, text: str, color: str = "black", *, low: bool = False) -> None:
        y, va = (0.03, "bottom") if low else (0.97, "top")
        behind = {"facecolor": "white" if color == "black" else "black", "alpha": 0.6, "edgecolor": "none", "pad": 0.5}
        if text:
            axis.text(0.03, y, text, transform=axis.transAxes, fontsize=6.5, va=va, color=color, bbox=behind)


def _rounded(change: float) -> float:
    """Round a loss or a gain for a label; a negative one is 0."""
    return float(f"{max(change, 0):.1f}" if change >= 0.1 or change <= 0 else f"{change:.1g}")
