"""The image of one band as a reader returns it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scanner.vocabulary.geometry import Image


@dataclass(frozen=True)
class BandImage:
    """Pixels of one band as read: `[y, x]`, north up or not, on a square pixel grid, the object at the centre."""

    pixels: Image
    pixel_scale_arcsec: float
    outside: NDArray[np.bool_] | None = None
    """`[y, x]`, true beyond the edge of the data: these pixels are padded with sky, and their values are ignored."""
