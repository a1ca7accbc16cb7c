"""Compiled form of `area_operator`: the same sums without the zeros, for one image or for windows in shared rows.

It sums in float64 and in one order, because a stamp must have the same bits alone and cut out of a mosaic. `banded` sums in
float32, as fast as the machine allows, and only for whole square images.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from infra.numba_loops import compiled_exactly
from scanner.preprocess.resample import Operator, area_operator, coverage
from scanner.vocabulary.geometry import Image

_ROUNDING = 1e-12
"""Smallest overlap, as a fraction of a pixel: smaller ones are rounding errors of edges that coincide."""


@dataclass(frozen=True)
class AxisRegrid:
    """The `area_operator` along one axis: output pixel `i` sums `weights[i, k] * input[starts[i] + k]`."""

    starts: NDArray[np.int64]
    """First input pixel of each sum, `[n_out]`."""
    weights: NDArray[np.float64]
    """Weights of the input pixels, `[n_out, width]`."""
    coverage: NDArray[np.float64]
    """Fraction of each output pixel that the input covers, `[n_out]`."""
    operator: Operator
    crop_start: int | None
    """First input pixel if the operator is a plain crop, so that each output pixel equals one input pixel; else None."""
    used: slice
    """Input pixels that the sums use."""


@lru_cache(maxsize=64)
def axis_regrid(n_in: int, scale_in_arcsec: float, n_out: int, scale_out_arcsec: float) -> AxisRegrid:
    """Return `area_operator` in compiled form, with the same arguments."""
    operator = area_operator(n_in, scale_in_arcsec, n_out, scale_out_arcsec)
    is_used = operator > _ROUNDING
    first = np.where(is_used.any(axis=1), is_used.argmax(axis=1), 0)
    last = np.where(is_used.any(axis=1), n_in - is_used[:, ::-1].argmax(axis=1), 0)
    width = max(1, int((last - first).max()))
    starts = np.clip(first, 0, n_in - width)
    weights = np.take_along_axis(np.where(is_used, operator, 0), starts[:, None] + np.arange(width), axis=1)
    is_crop = width == 1 and bool((weights == 1).all()) and bool((np.diff(starts) == 1).all())
    covered = coverage(n_in, scale_in_arcsec, n_out, scale_out_arcsec)
    for shared in (starts, weights, covered):
        shared.setflags(write=False)
    used = np.flatnonzero(is_used.any(axis=0))
    crop_start = int(starts[0]) if is_crop else None
    return AxisRegrid(starts, weights, covered, operator, crop_start, slice(int(used[0]), int(used[-1]) + 1))


def regrid_image(pixels: Image, rows: AxisRegrid, columns: AxisRegrid) -> Image:
    """Apply one operator per axis to `[y, x]`, summed in float64."""
    out = np.empty((len(rows.starts), len(columns.starts)), np.float32)
    if rows.crop_start is not None and columns.crop_start is not None:
        out[:] = pixels[rows.crop_start :, columns.crop_start :][: out.shape[0], : out.shape[1]]
    else:
        sums = rows.starts, rows.weights, columns.starts, columns.weights
        regrid_window(np.ascontiguousarray(pixels), 0, 0, pixels.shape[1], *sums, out)
    return out


@compiled_exactly
def regrid_window(
    rows: NDArray[np.float32],
    y: int,
    x: int,
    n_columns: int,
    row_starts: NDArray[np.int64],
    row_weights: NDArray[np.float64],
    column_starts: NDArray[np.int64],
    column_weights: NDArray[np.float64],
    out: NDArray[np.float32],
) -> None:
    """Regrid a window whose row `i` is `rows[(y + i) % len(rows), x : x + n_columns]`."""
    n_rows = len(rows)
    summed = np.empty(n_columns, np.float64)
    for i in range(len(row_starts)):
        summed[:] = 0
        for k in range(row_weights.shape[1]):
            weight = row_weights[i, k]
            if weight != 0:
                row = rows[(y + row_starts[i] + k) % n_rows, x : x + n_columns]
                for j in range(n_columns):
                    summed[j] += weight * np.float64(row[j])
        for j in range(len(column_starts)):
            total = 0.0
            for k in range(column_weights.shape[1]):
                total += column_weights[j, k] * summed[column_starts[j] + k]
            out[i, j] = np.float32(total)
