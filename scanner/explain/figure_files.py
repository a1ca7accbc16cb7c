"""Figures as files: PNG and PDF, one page or several."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

from infra.errors import LensscanError
from infra.store.files import replace_whole

_DPI = 110
_UNNAMED: Mapping[str, dict[str, None]] = MappingProxyType(
    {"png": {"Software": None}, "pdf": {"CreationDate": None, "Producer": None, "Creator": None}}
)
"""Metadata that keeps dates and versions out of the files."""


class FigureError(LensscanError, ValueError):
    """A figure cannot be drawn from what is given, or cannot be written to the given path."""


def write_figure(figure: Figure, path: str | Path, dpi: int = _DPI) -> None:
    """Write a figure as PNG or PDF, by the ending of the name; an existing file is replaced whole.

    Raises:
        FigureError: the name ends otherwise.
        OSError: the file cannot be written.
    """
    _write(figure_bytes(figure, figure_kind(path), dpi), path)


def write_pages(pages: Sequence[Figure], path: str | Path) -> None:
    """Write pages as `write_figure` writes a figure: several pages of a PDF, or one below the other as PNG."""
    _write(pages_bytes(pages, figure_kind(path)), path)


def figure_kind(path: str | Path) -> str:
    """Return `png` or `pdf`, by the ending of the name; raise FigureError if it ends otherwise."""
    kind = Path(path).suffix.lower().removeprefix(".")
    if kind not in _UNNAMED:
        raise FigureError(f"a figure's file must end in {' or '.join(f'.{name}' for name in _UNNAMED)}, got {path}")
    return kind


def _write(content: bytes, path: str | Path) -> None:
    with replace_whole(Path(path)) as part:
        part.write_bytes(content)


def figure_bytes(figure: Figure, kind: str, dpi: int = _DPI) -> bytes:
    """Encode a figure as `png` or `pdf`; equal figures give equal bytes."""
    sink = io.BytesIO()
    figure.savefig(sink, format=kind, dpi=dpi, metadata=_UNNAMED[kind])
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
