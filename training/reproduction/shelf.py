"""Figures as files of limited size, each kept until what it is drawn from changes."""

import io
import json
from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from infra.store.files import replace_whole
from scanner.explain.figure_files import figure_bytes
from training.errors import TrainingError
from training.reproduction.results import Picture

MAX_BYTES = 300_000
"""Largest size of a figure's file."""
_DPI = 110
_QUALITIES = (88, 80, 70, 60, 45, 30)
_RECORD = "drawn.json"


class Shelf:
    """A folder of figures, with a record of what each was drawn from."""

    def __init__(self, folder: Path, record: Path) -> None:
        """Keep figures in `folder`, and the record of them in the folder `record`."""
        self._folder, self._record = folder, record / _RECORD
        folder.mkdir(parents=True, exist_ok=True)
        record.mkdir(parents=True, exist_ok=True)

    def picture(self, figure: str, file: str, text: str, origin: str, draw: Callable[[], Figure]) -> Picture:
        """Return a figure of the page, drawn unless its file is there and was drawn from the same origin.

        Args:
            figure: Number of the figure in the paper, or a name.
            file: Name of the file, which ends in `.png` or `.jpg`.
            text: What the figure shows.
            origin: Digest of everything that the figure is drawn from.
            draw: Draws the figure.

        Raises:
            TrainingError: the file would be too large.
        """
        drawn = self._drawn()
        path = self._folder / file
        if drawn.get(file) != origin or not path.is_file():
            content = encoded(draw(), file)
            with replace_whole(path) as part:
                part.write_bytes(content)
            with replace_whole(self._record) as part:
                part.write_text(json.dumps({**drawn, file: origin}, indent=1) + "\n", encoding="utf-8")
        return Picture(figure=figure, file=file, text=text)

    def _drawn(self) -> dict[str, str]:
        return json.loads(self._record.read_text(encoding="utf-8")) if self._record.is_file() else {}


def encoded(figure: Figure, file: str) -> bytes:
    """Encode a figure as PNG or JPEG, by the ending of the name, with at most `MAX_BYTES`.

    Raises:
        TrainingError: it would be larger in every quality.
    """
    png = figure_bytes(figure, "png", _DPI)
    if file.endswith(".png") and len(png) <= MAX_BYTES:
        return png
    if file.endswith(".jpg"):
        with Image.open(io.BytesIO(png)) as image:
            pixels = image.convert("RGB")
        for quality in _QUALITIES:
            sink = io.BytesIO()
            pixels.save(sink, "jpeg", quality=quality, optimize=True)
            if sink.tell() <= MAX_BYTES:
                return sink.getvalue()
    raise TrainingError(f"{file}: must have at most {MAX_BYTES} bytes, got more")
