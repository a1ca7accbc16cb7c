"""From stamps in the challenge geometry to what a network reads: resized, then scaled to 0-1 band by band."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scanner.pixels.geometry import Stamps
from scanner.pixels.resample import regrid, resize_operator


def min_max(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale each `[y, x]` image of `[..., y, x]` to 0-1 on its own (Wilde et al. 2022, section 2.1).

    Raises:
        ValueError: an image is constant; such rows are rejected before they come here.
    """
    low = images.min(axis=(-2, -1), keepdims=True)
    span = images.max(axis=(-2, -1), keepdims=True) - low
    if not np.all(span > 0):
        raise ValueError(f"min-max needs images that vary, got {int(np.sum(~(span > 0)))} constant or non-finite image(s)")
    return np.asarray((images - low) / span, dtype=np.float32)


def network_input(stamps: Stamps, bands: Sequence[str], n_pixels: int) -> NDArray[np.float32]:
    """`[batch, band, y, x]` for a network that reads `bands`, in that order, at `n_pixels` a side.

    Every band is resized as scikit-image would, then min-max scaled on its own: the order of the authors' loaders.
    """
    return np.stack([min_max(_resized(stamps[band], n_pixels)) for band in bands], axis=1)


def _resized(images: NDArray[np.float32], n_pixels: int) -> NDArray[np.float32]:
    n_in = images.shape[-1]
    return images if n_in == n_pixels else regrid(images, resize_operator(n_in, n_pixels))
