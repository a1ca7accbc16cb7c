"""Separable linear maps with banded matrices, such as interpolations and blurs: loops over the band only.

The sums are in float32, which is enough for the inputs of networks; `regridding` keeps flux in float64.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from infra.numba_loops import compiled_fast, native

_AT_ONCE = 4
"""Columns of the band that are added to a row together: this saves loads and stores of the row."""


class Banded(NamedTuple):
    """A matrix, stored as one run of columns per row; the row is zero outside its run."""

    first: NDArray[np.int64]
    """First column of each run, `[n_out]`."""
    weights: NDArray[np.float32]
    """Elements of each run, `[n_out, n_run]`; `n_run` is a multiple of four, and zeros at the end may lie beyond the matrix."""


def banded(operator: NDArray[np.floating[Any]]) -> Banded:
    """Return the matrix `[n_out, n_in]` in banded form."""
    n_out, n_in = operator.shape
    is_used = operator != 0
    first = is_used.argmax(axis=1)
    n_used = (n_in - is_used[:, ::-1].argmax(axis=1) - first).max()
    n_run = -(-n_used // _AT_ONCE) * _AT_ONCE
    padded = np.pad(operator, ((0, 0), (0, n_run)))
    weights = padded[np.arange(n_out)[:, None], first[:, None] + np.arange(n_run)].astype(np.float32)
    for array in (first, weights):
        array.setflags(write=False)
    return Banded(first, weights)


def both_axes(operator: Banded, images: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Return `operator @ image @ operator.T` of each square image of `[batch, y, x]`, in float32."""
    if images.shape[1] != images.shape[2]:
        raise ValueError(f"images must be square, got {images.shape[1]} x {images.shape[2]} pixels")
    n_out = len(operator.first)
    out = np.empty((len(images), n_out, n_out), np.float32)
    _both_axes(operator.first, operator.weights, native(images), out)
    return out


@compiled_fast
def _both_axes(
    first: NDArray[np.int64], weights: NDArray[np.float32], images: NDArray[np.floating[Any]], out: NDArray[np.float32]
) -> None:
    turned = np.empty((images.shape[2], len(first)), np.float32)
    for i in range(len(images)):
        _turn(first, weights, images[i], turned)
        _turn(first, weights, turned, out[i])


@compiled_fast
def _turn(
    first: NDArray[np.int64], weights: NDArray[np.float32], image: NDArray[np.floating[Any]], out: NDArray[np.float32]
) -> None:
    """Write `(operator @ image).T` to `out`; two calls apply the operator along both axes and restore the order of the axes."""
    n_columns, last = image.shape[1], len(image) - 1
    row = np.empty(n_columns, np.float32)
    for y in range(len(first)):
        row[:] = 0
        for k in range(0, weights.shape[1], _AT_ONCE):
            start = first[y] + k
            w0, w1, w2, w3 = weights[y, k], weights[y, k + 1], weights[y, k + 2], weights[y, k + 3]
            r0, r1 = image[min(start, last)], image[min(start + 1, last)]
            r2, r3 = image[min(start + 2, last)], image[min(start + 3, last)]
            for x in range(n_columns):
                row[x] += (w0 * r0[x] + w1 * r1[x]) + (w2 * r2[x] + w3 * r3[x])
        for x in range(n_columns):
            out[x, y] = row[x]
