"""The pixels of all bands that the catalogue stores with a candidate; the module imports no torch."""

import numpy as np
from numpy.typing import NDArray

from scanner.explain.map_grid import CUTOUT_STEP_SIGMA, SHOWN_ARCSEC
from scanner.preprocess.colour_picture import bands_in_sky
from scanner.vocabulary.geometry import Geometry, Stamps


def cutout_pixels(stamps: Stamps, geometry: Geometry) -> tuple[NDArray[np.int16], NDArray[np.float64]]:
    """Return the middle of each object in sigma of the sky, `[batch, band, y, x]` in units, and the unit of each object."""
    scale_arcsec, largest = geometry.grids["VIS"].pixel_scale_arcsec, np.iinfo(np.int16).max
    objects = [{band: images[i] for band, images in stamps.items()} for i in range(len(stamps["VIS"]))]
    in_sky = np.stack([np.stack(list(bands_in_sky(bands, scale_arcsec, SHOWN_ARCSEC).values())) for bands in objects])
    unit = np.maximum(np.abs(in_sky).max(axis=(1, 2, 3)) / largest, CUTOUT_STEP_SIGMA)
    return np.round(in_sky / unit[:, None, None, None]).astype(np.int16), unit
