"""Separable linear maps with banded matrices, such as interpolations and blurs: loops over the band only.

The sums are in float32, which is enough for the inputs of networks; `regridding` keeps flux in float64.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from infra.numba_loops import compiled_fast, native

_AT_ONCE = 4
"""Rows of the result that are computed together, from so many columns of the band at a time: fewer loads and stores."""
_IMAGES_AT_ONCE = 4
"""Images that lie side by side while they are computed: the loops over their pixels are long, and start seldom."""


class Banded(NamedTuple):
    """A matrix, stored as one run of columns for each group of four rows; the rows are zero outside their run."""

    n_out: int
    first: NDArray[np.int64]
    """First column of each group's run, `[group]`."""
    weights: NDArray[np.float32]
    """Elements of each run, `[group, n_run, 4]`; `n_run` is a multiple of four; zeros may lie beyond the matrix."""


def banded(operator: NDArray[np.floating[Any]]) -> Banded:
    """Return the matrix `[n_out, n_in]` in banded form."""
    n_out, n_in = operator.shape
    n_groups = -(-n_out // _AT_ONCE)
    groups = np.pad(operator, ((0, n_groups * _AT_ONCE - n_out), (0, 0))).reshape(n_groups, _AT_ONCE, n_in)
    is_used = (groups != 0).any(axis=1)
    first = is_used.argmax(axis=1)
    n_used = (n_in - is_used[:, ::-1].argmax(axis=1) - first).max()
    n_run = -(-n_used // _AT_ONCE) * _AT_ONCE
    padded = np.pad(groups, ((0, 0), (0, 0), (0, n_run)))
    columns = first[:, None] + np.arange(n_run)
    weights = np.ascontiguousarray(padded[np.arange(n_groups)[:, None], :, columns], np.float32)
    for array in (first, weights):
        array.setflags(write=False)
    return Banded(n_out, first, weights)


def both_axes(operator: Banded, images: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Return `operator @ image @ operator.T` of each square image of `[batch, y, x]`, in float32."""
    if images.shape[1] != images.shape[2]:
        raise ValueError(f"images must be square, got {images.shape[1]} x {images.shape[2]} pixels")
    out = np.empty((len(images), operator.n_out, operator.n_out), np.float32)
    _both_axes(operator.first, operator.weights, native(images), out)
    return out


@compiled_fast
def _both_axes(
    first: NDArray[np.int64], weights: NDArray[np.float32], images: NDArray[np.floating[Any]], out: NDArray[np.float32]
) -> None:
    n_in, n_out = images.shape[2], out.shape[2]
    for start in range(0, len(images), _IMAGES_AT_ONCE):
        some = images[start : start + _IMAGES_AT_ONCE]
        n = len(some)
        # Arrays `[y, image, x]` and `[x, image, y]`.
        given, turned = np.empty((n_in, n, n_in), images.dtype), np.empty((n_in, n, n_out), np.float32)
        for i in range(n):
            for y in range(n_in):
                # Numba assigns a whole row at once more slowly.
                row, to = some[i, y], given[y, i]
                for x in range(n_in):
                    to[x] = row[x]
        _turn(first, weights, given, turned.transpose(1, 0, 2))
        _turn(first, weights, turned, out[start : start + n])


@compiled_fast
def _turn(
    first: NDArray[np.int64],
    weights: NDArray[np.float32],
    images: NDArray[np.floating[Any]],
    out: NDArray[np.float32],
) -> None:
    """Write `(operator @ image).T` of each image of `[y, image, x]` to `[image, x, y]`.

    Two calls apply the operator along both axes and restore the order of the axes.
    """
    n_in, n_images, n_x = images.shape
    n_columns, last, n_out = n_images * n_x, n_in - 1, out.shape[2]
    lines = images.reshape(n_in, n_columns)
    rows = np.empty((_AT_ONCE, n_columns), np.float32)
    row0, row1, row2, row3 = rows[0], rows[1], rows[2], rows[3]
    for group in range(len(first)):
        rows[:] = 0
        for k in range(0, weights.shape[1], _AT_ONCE):
            start = first[group] + k
            a, b, c, d = weights[group, k], weights[group, k + 1], weights[group, k + 2], weights[group, k + 3]
            a0, a1, a2, a3, b0, b1, b2, b3 = a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3]
            c0, c1, c2, c3, d0, d1, d2, d3 = c[0], c[1], c[2], c[3], d[0], d[1], d[2], d[3]
            r0, r1 = lines[min(start, last)], lines[min(start + 1, last)]
            r2, r3 = lines[min(start + 2, last)], lines[min(start + 3, last)]
            for x in range(n_columns):
                v0, v1, v2, v3 = r0[x], r1[x], r2[x], r3[x]
                row0[x] += (a0 * v0 + b0 * v1) + (c0 * v2 + d0 * v3)
                row1[x] += (a1 * v0 + b1 * v1) + (c1 * v2 + d1 * v3)
                row2[x] += (a2 * v0 + b2 * v1) + (c2 * v2 + d2 * v3)
                row3[x] += (a3 * v0 + b3 * v1) + (c3 * v2 + d3 * v3)
        y = group * _AT_ONCE
        for i in range(n_images):
            image, n_before = out[i], i * n_x
            if y + _AT_ONCE <= n_out:
                for x in range(n_x):
                    at = n_before + x
                    image[x, y], image[x, y + 1], image[x, y + 2], image[x, y + 3] = row0[at], row1[at], row2[at], row3[at]
            else:
                for j in range(n_out - y):
                    for x in range(n_x):
                        image[x, y + j] = rows[j, n_before + x]
