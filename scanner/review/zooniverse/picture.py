"""The picture of a candidate that volunteers see: VIS and colour, with stretches that are the same for all candidates."""

import io

import numpy as np
from PIL import Image

from scanner.review.candidate import CandidatePixels
from scanner.review.stretch import BRIGHT, FAINT, Picture, colour_picture, vis_picture

SCALE = 4
"""Number of pixels a side that a pixel of the survey takes: sharp squares, so that a picture invents nothing."""
GAP_PIXELS = 8


def candidate_png(pixels: CandidatePixels) -> bytes:
    """Return a PNG file with VIS on the left and colour on the right, the north up and the east to the left.

    A candidate whose bands are stored has two rows: a stretch for faint arcs, and one for what lies on the galaxy. Another has
    the stored colour picture, and its VIS channel. The same pixels give the same bytes.
    """
    if pixels.in_sky is None:
        colour = pixels.rgb[::-1]
        rows = [(np.ascontiguousarray(colour[..., 2]), colour)]
    else:
        rows = [(vis_picture(pixels.in_sky, stretch), colour_picture(pixels.in_sky, stretch)) for stretch in (FAINT, BRIGHT)]
    sink = io.BytesIO()
    Image.fromarray(_tiled(rows)).save(sink, "PNG")
    return sink.getvalue()


def _tiled(rows: list[tuple[Picture, Picture]]) -> Picture:
    """Return enlarged pictures, grey `[y, x]` and coloured `[y, x, 3]`, in rows of two with grey gaps between them."""
    coloured = [[np.repeat(grey[..., None], 3, axis=2), colour] for grey, colour in rows]
    side = len(rows[0][0]) * SCALE
    step = side + GAP_PIXELS
    canvas = np.full((len(rows) * step - GAP_PIXELS, 2 * step - GAP_PIXELS, 3), 128, np.uint8)
    for i, row in enumerate(coloured):
        for j, picture in enumerate(row):
            canvas[i * step : i * step + side, j * step : j * step + side] = picture.repeat(SCALE, 0).repeat(SCALE, 1)
    return canvas
