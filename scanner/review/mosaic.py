"""A picture of many candidates: VIS and colour of each at fixed stretches, with a caption, in one PNG file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from infra.errors import LensscanError
from infra.store.files import replace_whole
from scanner.catalogue.query import query
from scanner.catalogue.wanted import NONE_MEETS, Wanted
from scanner.explain.map_grid import PICTURE_PIXELS
from scanner.review.candidate import CandidatePixels
from scanner.review.stored_pixels import stored_pixels
from scanner.review.stretch import BRIGHT, FAINT, Picture, colour_picture, vis_picture
from scanner.vocabulary.probability_text import probability_text

DRAWN, MOST_DRAWN = 100, 400
"""Number of candidates by default, and at most."""
_ENLARGED = 2
_SIDE = PICTURE_PIXELS * _ENLARGED
_GAP, _CAPTION, _FONT = 8, 34, 12
"""Lengths in pixels."""
_GROUND, _TEXT, _SOFT = (18, 20, 24), (235, 237, 240), (165, 172, 180)


class MosaicError(LensscanError):
    """The candidates cannot be drawn."""


def write_mosaic(root_uri: str, wanted: Wanted, path: Path) -> int:
    """Draw the candidates that a caller wants into a PNG file, best first, and return their number.

    Raises:
        MosaicError: there are none, too many, or none has stored pixels.
        LensscanError: the catalogue cannot be read.
        OSError: the file cannot be written.
    """
    if wanted.limit is None or wanted.limit > MOST_DRAWN:
        raise MosaicError(f"a .png holds at most {MOST_DRAWN} candidates, got {wanted.limit}; choose fewer with --top")
    rows = query(root_uri, wanted)
    pixels = dict(stored_pixels(root_uri, rows))
    if not pixels:
        lacks = f"none of {rows.num_rows} candidates has pixels; `lensscan scan --maps` stores those of the best"
        raise MosaicError(f"{root_uri}: {lacks if rows.num_rows else NONE_MEETS}")
    with replace_whole(path) as part:
        mosaic(rows.to_pylist(), pixels).save(part, "PNG", optimize=True)
    return rows.num_rows


def mosaic(rows: Sequence[Mapping[str, Any]], pixels: Mapping[int, CandidatePixels]) -> Image.Image:
    """Draw candidates in lines, about as wide as high: VIS at the faint stretch, colour at the bright one, and a caption.

    Args:
        rows: At least one row; a caption shows `candidate_id` or `object_id`, `p_lens` and `subclass`.
        pixels: Pixels of those rows that have any, by the number of the row.
    """
    width, height = 2 * _SIDE + _GAP, _SIDE + _CAPTION + _GAP
    abreast = min(len(rows), max(1, round(np.sqrt(len(rows) * height / width * 1.4))))
    lines = -(-len(rows) // abreast)
    sheet = Image.new("RGB", (abreast * width + _GAP, lines * height + _GAP), _GROUND)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.truetype(str(Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")), _FONT)
    for number, row in enumerate(rows):
        line, place = divmod(number, abreast)
        left, top = _GAP + place * width, _GAP + line * height
        name, facts = _captions(row)
        draw.text((left, top), name, _TEXT, font)
        draw.text((left, top + _CAPTION // 2 - 1), facts, _SOFT, font)
        if number in pixels:
            for i, picture in enumerate(_pictures(pixels[number])):
                sheet.paste(_enlarged(picture), (left + i * _SIDE, top + _CAPTION))
        else:
            draw.text((left, top + _CAPTION + _SIDE // 2), "no pixels stored", _SOFT, font)
    return sheet


def _captions(row: Mapping[str, Any]) -> tuple[str, str]:
    name = row.get("candidate_id") or f"object {row['object_id']}"
    p_lens = row.get("p_lens")
    parts = [
        "no score" if p_lens is None else f"p_lens {probability_text(p_lens, 4)}",
        str(row.get("subclass") or "").replace("_", " "),
    ]
    return _one_line(name), _one_line(", ".join(part for part in parts if part))


def _one_line(text: str) -> str:
    return " ".join(text.split())[:46]


def _pictures(pixels: CandidatePixels) -> tuple[Picture, Picture]:
    if pixels.in_sky is None:
        stored = pixels.rgb[::-1]
        return stored[..., 2], stored
    return vis_picture(pixels.in_sky, FAINT), colour_picture(pixels.in_sky, BRIGHT)


def _enlarged(picture: Picture) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(picture)).resize((_SIDE, _SIDE), Image.Resampling.NEAREST)
