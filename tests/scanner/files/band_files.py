"""Images for test files, and what a manifest's reader makes of one file: its image, its rejection, or the code of that."""

import numpy as np
import pytest

from scanner.files.fits_image import FitsReader
from scanner.vocabulary.rejections import Rejection


def image(n=20, seed=0):
    """Return noise `[n, n + 3]`, which is not square, so that swapped axes show."""
    return np.random.default_rng(seed).normal(0, 1, (n, n + 3)).astype(np.float32)


def read_band(reference, pixel_scale_arcsec=None):
    return FitsReader().read_band(reference, pixel_scale_arcsec)


def rejection(reference):
    with pytest.raises(Rejection) as caught:
        read_band(str(reference), 0.1)
    return caught.value


def code(reference):
    return rejection(reference).code
