"""Turn pixels in sky sigma into 8-bit pictures with fixed stretches, which are the same for all objects."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scanner.preprocess.colour_picture import colours
from scanner.review.candidate import BANDS

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Stretch:
    """An asinh stretch between two values in sigma of the sky (Lupton et al. 2004, without their joint scaling of colours)."""

    name: str
    black_sigma: float
    white_sigma: float
    softening_sigma: float
    """Value at which the stretch turns from linear to logarithmic."""

    def of(self, in_sky: NDArray[np.floating]) -> Picture:
        """Return pixels in 0-255, black at and below `black_sigma`, white at and above `white_sigma`."""
        black, white = (np.arcsinh(value / self.softening_sigma) for value in (self.black_sigma, self.white_sigma))
        shares = (np.arcsinh(np.asarray(in_sky, np.float64) / self.softening_sigma) - black) / (white - black)
        return np.rint(255 * np.clip(shares, 0, 1)).astype(np.uint8)

    @property
    def in_words(self) -> str:
        return f"{self.black_sigma:g}\u03c3 to {self.white_sigma:g}\u03c3".replace("-", "\u2212")


FAINT = Stretch("faint", -2, 30, 3)
"""Stretch that shows arcs near the noise; cores of galaxies are white."""
BRIGHT = Stretch("bright", -4, 250, 15)
"""Stretch that shows what lies on the galaxy; the sky is black."""


def vis_picture(in_sky: NDArray[np.floating], stretch: Stretch) -> Picture:
    """Return VIS as `[y, x]` of pixels `[band, y, x]`, the northernmost row first, as files of pictures have it."""
    return stretch.of(in_sky[BANDS.index("VIS"), ::-1])


def colour_picture(in_sky: NDArray[np.floating], stretch: Stretch) -> Picture:
    """Return `[y, x, colour]` of pixels `[band, y, x]`, in the colours of `cutout_rgb`, the northernmost row first."""
    return stretch.of(colours({band: in_sky[i, ::-1] for i, band in enumerate(BANDS)}))
