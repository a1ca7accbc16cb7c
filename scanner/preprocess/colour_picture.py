"""Colour pictures of objects, all with the same stretch."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanner.preprocess.resample import regrid, resize_operator
from scanner.vocabulary.bands import EUCLID
from scanner.vocabulary.geometry import Stamps

SHOWN_ARCSEC = 10.0
"""Side of the square that is shown about the centre: a lens fills it."""
_SOFTENING = 4.0
"""Value in sky sigma at which the stretch changes from linear to logarithmic."""
_WHITE = 150.0
"""Value in sky sigma that is shown white."""


def composite(bands: Stamps, vis_scale_arcsec: float, shown_arcsec: float = SHOWN_ARCSEC) -> NDArray[np.float64]:
    """Return `[y, x, channel]` in 0-1: H in red, J and Y in green, VIS in blue, each in sky sigma with an asinh stretch.

    Every image, simulated or real, has the same stretch. NISP bands with coarser pixels are resized to the VIS pixels.

    Args:
        bands: Images by band, `[y, x]`, all with the same centre.
        vis_scale_arcsec: Pixel scale of the VIS image.
        shown_arcsec: Side of the square that is shown.
    """
    return _stretched(colours(bands_in_sky(bands, vis_scale_arcsec, shown_arcsec)))


def colours(in_sky: Mapping[str, NDArray[np.floating[Any]]]) -> NDArray[np.floating[Any]]:
    """Return `[y, x, channel]` of bands `[y, x]` in sky sigma: H in red, J and Y in green, VIS in blue.

    A red galaxy has less signal in a VIS pixel than in a NISP pixel: the weights make a typical galaxy neutral.
    """
    return np.stack([0.55 * in_sky["H"], 0.35 * (in_sky["Y"] + in_sky["J"]), in_sky["VIS"]], axis=-1)


def bands_in_sky(bands: Stamps, vis_scale_arcsec: float, shown_arcsec: float = SHOWN_ARCSEC) -> dict[str, NDArray[np.float64]]:
    """Return the middle of each band `[y, x]` on the VIS pixels, in the order VIS, Y, J, H, in sigma above the band's own sky.

    Arguments as for `composite`.
    """
    n_pixels, side = round(shown_arcsec / vis_scale_arcsec), bands["VIS"].shape[-1]
    on_vis = {band: bands[band] if bands[band].shape[-1] == side else _enlarged(bands[band], side) for band in EUCLID}
    return {band: _in_sky(_middle(image, n_pixels), bands[band]) for band, image in on_vis.items()}


def _enlarged(image: NDArray[np.float32], n_pixels: int) -> NDArray[np.float32]:
    return regrid(image[None], resize_operator(len(image), n_pixels))[0]


def _middle(image: NDArray[np.float32], n_pixels: int) -> NDArray[np.float32]:
    low = max((len(image) - n_pixels) // 2, 0)
    return image[low : low + n_pixels, low : low + n_pixels]


def _in_sky(image: NDArray[np.float32], whole: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the image in sigma of the sky of the whole image, measured without masked pixels, which are exactly zero.

    Two percentiles serve a picture; `sky_level_and_sigma`, which networks need, would change the pictures in catalogues.
    """
    seen = whole[whole != 0]
    low, middle = np.percentile(seen, [10, 40]) if seen.size else (0.0, 0.0)
    # Objects hardly affect pixels below the median: 10 % and 40 % of a Gaussian lie 1.28 and 0.25 sigma below its mean.
    sigma = max((middle - low) / (1.2816 - 0.2533), 1e-12)
    return np.asarray((image - middle - 0.2533 * sigma) / sigma, np.float64)


def _stretched(in_sky: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    scaled = np.arcsinh(in_sky / _SOFTENING) / np.arcsinh(_WHITE / _SOFTENING)
    return np.clip(0.08 + 0.92 * scaled, 0, 1)
