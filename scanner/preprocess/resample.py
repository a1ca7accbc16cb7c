"""Linear, separable resampling by matrices: `left @ image @ right.T`, the same for one image or a batch."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from scanner.preprocess.banded import Banded, banded, both_axes

Operator = NDArray[np.float64]
"""Matrix along one axis, `[n_out, n_in]`."""


@lru_cache(maxsize=64)
def resize_operator(n_in: int, n_out: int) -> Operator:
    """Return `skimage.transform.resize` with its defaults as a matrix (values are interpolated, flux is not conserved).

    The resize of the paper (Wilde et al. 2022, section 3.2) is linear and separable, so its matrix is the resized identity
    matrix, one axis at a time.
    """
    # Imported here: few networks read resized stamps, and scikit-image takes a fifth of a second.
    from skimage.transform import resize

    rows = resize(np.eye(n_in), (n_out, n_in), anti_aliasing=n_out < n_in)
    rows.setflags(write=False)
    return np.asarray(rows)


@lru_cache(maxsize=64)
def area_operator(n_in: int, scale_in_arcsec: float, n_out: int, scale_out_arcsec: float) -> Operator:
    """Return the matrix of a centred, flux-conserving regridding: each output pixel sums the flux of the input area it covers.

    Equal scales give a plain crop (whole pixels, never an interpolation). Output pixels beyond the input get zero;
    `coverage` identifies them.
    """
    if min(scale_in_arcsec, scale_out_arcsec) <= 0:
        raise ValueError(f"pixel scales must be > 0 arcsec, got {scale_in_arcsec} and {scale_out_arcsec}")
    ratio = scale_out_arcsec / scale_in_arcsec
    if abs(ratio - 1) * n_out < 0.1:
        offset = (n_in - n_out) // 2
        operator = (np.arange(n_in)[None, :] == np.arange(n_out)[:, None] + offset).astype(np.float64)
    else:
        start = (np.arange(n_out) - n_out / 2) * ratio + n_in / 2
        low = np.maximum(start[:, None], np.arange(n_in)[None, :])
        high = np.minimum(start[:, None] + ratio, np.arange(n_in)[None, :] + 1)
        operator = np.clip(high - low, 0, None)
    operator.setflags(write=False)
    return operator


def coverage(n_in: int, scale_in_arcsec: float, n_out: int, scale_out_arcsec: float) -> NDArray[np.float64]:
    """Return `[n_out]`: the fraction of each output pixel that the input covers along one axis."""
    operator = area_operator(n_in, scale_in_arcsec, n_out, scale_out_arcsec)
    full = scale_out_arcsec / scale_in_arcsec
    whole_pixels = np.all((operator == 0) | (operator == 1)) and operator.sum(axis=1).max() <= 1
    return np.clip(operator.sum(axis=1) / (1.0 if whole_pixels else full), 0, 1)


def regrid(images: NDArray[np.floating], left: Operator, right: Operator | None = None) -> NDArray[np.float32]:
    """Apply one operator per axis to `[..., y, x]` (`right` defaults to `left`), in float64; return float32.

    This is the plain product, for any operator and any shape. `regridding.regrid_window` and `banded.both_axes` skip the zeros,
    but round differently: stored maps, which this product makes, would change.
    """
    right = left if right is None else right
    return np.asarray(left @ images.astype(np.float64) @ right.T, dtype=np.float32)


def resized(images: NDArray[np.floating], n_pixels: int) -> NDArray[np.float32]:
    """Resize square images `[batch, y, x]` to `n_pixels` a side with `resize_operator`, in float32."""
    n_in = images.shape[-1]
    return np.asarray(images, np.float32) if n_in == n_pixels else both_axes(_band_of_resize(n_in, n_pixels), images)


@lru_cache(maxsize=64)
def _band_of_resize(n_in: int, n_out: int) -> Banded:
    return banded(resize_operator(n_in, n_out))
