"""Write a figure to a file."""

import io
from pathlib import Path

from matplotlib.figure import Figure

from infra.errors import LensscanError
from infra.store.files import replace_whole

_UNNAMED = {".png": {"Software": None}, ".pdf": {"CreationDate": None, "Producer": None, "Creator": None}}
"""File endings, and metadata that keep dates and versions out of such files."""
_DPI = 150


class FigureError(LensscanError, ValueError):
    """A figure cannot be drawn from what is given, or cannot be written to the given path."""


def write_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure as PNG or PDF, by the ending of the name; an existing file is replaced whole.

    Raises:
        FigureError: the name ends otherwise.
        OSError: the file cannot be written.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind not in _UNNAMED:
        raise FigureError(f"a figure's file must end in {' or '.join(_UNNAMED)}, got {path}")
    content = _encoded(figure, kind)
    with replace_whole(path) as part:
        part.write_bytes(content)


def figure_png(figure: Figure) -> bytes:
    """Encode a figure as PNG."""
    return _encoded(figure, ".png")


def _encoded(figure: Figure, kind: str) -> bytes:
    sink = io.BytesIO()
    figure.savefig(sink, format=kind[1:], dpi=_DPI, metadata=_UNNAMED[kind])
    return sink.getvalue()
