"""Figures as files: PNG and PDF, one page or several."""

import io
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

_DPI = 110
_UNNAMED: Mapping[str, dict[str, None]] = MappingProxyType(
    {"png": {"Software": None}, "pdf": {"CreationDate": None, "Producer": None, "Creator": None}}
)
"""Metadata that keeps dates and versions out of the files."""


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
