"""Draw a picture of a file of textures."""

from collections.abc import Sequence

import numpy as np

from scanner.vocabulary.geometry import Image
from simulation.products.contact_sheet import COLUMNS, Cell, Picture, sheet_png
from simulation.textures.library import Specimen

MOST_SHOWN = 80
"""Largest number of textures of a sheet; of more, some all along the file are shown."""
_SOFTENING = 0.03
"""Surface brightness, in units of the brightest, above which the scale is logarithmic."""
_KEY = (
    "Number in the file, from 0, and half-light radius.  Bar: 1 arcsec.  Above: logarithmic scale.  Below: linear scale.",
    "A star, a piece of a larger galaxy, or a straight edge: leave its image out.",
)


def texture_sheet_png(specimens: Sequence[Specimen]) -> bytes:
    """Return a PNG with the textures, each as bright as the others."""
    step = -(-len(specimens) // MOST_SHOWN)
    shown = [_cell(number, specimens[number]) for number in range(0, len(specimens), step)]
    return sheet_png([("", shown[start : start + COLUMNS]) for start in range(0, len(shown), COLUMNS)], _KEY)


def _cell(number: int, specimen: Specimen) -> Cell:
    pixels, scale = specimen.texture.pixels, specimen.pixel_scale_arcsec
    caption = f"#{number}\n{specimen.texture.half_light_radius_pixels * scale:.2f}\u2033"
    linear = pixels / pixels.max()
    return Cell(caption, [_logarithmic(linear), np.asarray(linear, np.float64)], len(pixels) * scale)


def _logarithmic(linear: Image) -> Picture:
    return np.asarray(np.arcsinh(linear / _SOFTENING) / np.arcsinh(1 / _SOFTENING), np.float64)
