"""Compiled loops of the fused steps: they read activations `[image, y, x, channel]` and write those of the next layers.

Activations are float32, or uint16 with the bits of bfloat16. A row of pixels is one long vector of x times channel, so that few
channels use vector instructions as well as many. Each image has its own sums, so that a result does not depend on how
images are shared among threads. Arguments without an image axis come first.
"""

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload
from numpy.typing import NDArray

from infra.numba_loops import compiled_fast

_Stored = NDArray[Any]
_Floats = NDArray[np.float32]
_Sums = NDArray[np.float64]
_Places = NDArray[np.uint8]
_Keys = NDArray[np.uint32]

_HALF_WORD = np.uint32(16)
_HALF_UNIT = np.uint32(0x7FFF)
_LOWEST_BIT = np.uint32(1)
_WORDS = np.float64(2**32)
NONE = 4
"""Place of a pooled pixel that is 0, because all four activations are rectified or it is dropped: none has a gradient."""


@compiled_fast
def add_sums(stored: _Stored, sums: _Sums, squares: _Sums) -> None:
    """Write the sum and the sum of squares of each image and channel, `[image, channel]`."""
    n_images, n_y, n_x, n_channels = stored.shape
    total, square = np.empty((2, n_x * n_channels), np.float32)
    for i in range(n_images):
        total[:] = 0
        square[:] = 0
        for y in range(n_y):
            row = stored[i, y].reshape(-1)
            for j in range(len(row)):
                value = _as_float(row[j])
                total[j] += value
                square[j] += value * value
        _fold(total, sums[i])
        _fold(square, squares[i])


@compiled_fast
def normalise(scale: _Floats, shift: _Floats, stored: _Stored, out: _Stored) -> None:
    """Write `max(scale x + shift, 0)`, with a scale and a shift for each channel."""
    n_images, n_y, n_x, _ = stored.shape
    scales, shifts = _for_row(scale, n_x), _for_row(shift, n_x)
    for i in range(n_images):
        for y in range(n_y):
            row, written = stored[i, y].reshape(-1), out[i, y].reshape(-1)
            for j in range(len(row)):
                value = scales[j] * _as_float(row[j]) + shifts[j]
                written[j] = _as_stored(_rectified(value), written[j])


@compiled_fast
def normalise_and_pool(scale: _Floats, shift: _Floats, stored: _Stored, out: _Stored, places: _Places) -> None:
    """Write the largest of each two by two pixels of `max(scale x + shift, 0)`, and its place 2 y + x, or `NONE`."""
    n_images, n_y, n_x, n_channels = out.shape
    length = 2 * n_x * n_channels
    scales, shifts = _for_row(scale, 2 * n_x), _for_row(shift, 2 * n_x)
    best = np.empty(length, np.float32)
    lower = np.empty(length, np.uint8)
    for i in range(n_images):
        for y in range(n_y):
            above, below = stored[i, 2 * y].reshape(-1), stored[i, 2 * y + 1].reshape(-1)
            for j in range(length):
                first = scales[j] * _as_float(above[j]) + shifts[j]
                second = scales[j] * _as_float(below[j]) + shifts[j]
                lower[j] = 2 if second > first else 0
                best[j] = max(first, second)
            written, place = out[i, y].reshape(-1), places[i, y].reshape(-1)
            for x in range(n_x):
                left, start = 2 * x * n_channels, x * n_channels
                right = left + n_channels
                for c in range(n_channels):
                    value, chosen = _larger(best, lower, left + c, right + c)
                    place[start + c] = chosen if value > 0 else np.uint8(NONE)
                    written[start + c] = _as_stored(_rectified(value), written[start + c])


@compiled_fast
def add_gradients(stored: _Stored, out: _Stored, gradient: _Stored, sums: _Sums, products: _Sums) -> None:
    """Write the sum of the gradients of `normalise` before rectification, and of their products with x, `[image, channel]`."""
    n_images, n_y, n_x, n_channels = stored.shape
    total, product = np.empty((2, n_x * n_channels), np.float32)
    for i in range(n_images):
        total[:] = 0
        product[:] = 0
        for y in range(n_y):
            row, given, seen = stored[i, y].reshape(-1), gradient[i, y].reshape(-1), out[i, y].reshape(-1)
            for j in range(len(row)):
                value = _as_float(given[j]) if seen[j] > 0 else np.float32(0)
                total[j] += value
                product[j] += value * _as_float(row[j])
        _fold(total, sums[i])
        _fold(product, products[i])


@compiled_fast
def add_pooled_gradients(stored: _Stored, places: _Places, gradient: _Stored, sums: _Sums, products: _Sums) -> None:
    """Do the same for `normalise_and_pool`."""
    n_images, n_y, n_x, n_channels = gradient.shape
    total, product = np.empty((2, n_x * n_channels), np.float32)
    zero = np.float32(0)
    for i in range(n_images):
        total[:] = 0
        product[:] = 0
        for y in range(n_y):
            given, place = gradient[i, y].reshape(-1), places[i, y].reshape(-1)
            above, below = stored[i, 2 * y].reshape(-1), stored[i, 2 * y + 1].reshape(-1)
            for x in range(n_x):
                left, start = 2 * x * n_channels, x * n_channels
                right = left + n_channels
                for c in range(n_channels):
                    j = start + c
                    where = place[j]
                    # All four are read before one is chosen: loops with vector instructions cannot read on a condition.
                    first, second = _as_float(above[left + c]), _as_float(above[right + c])
                    third, fourth = _as_float(below[left + c]), _as_float(below[right + c])
                    upper = second if where == 1 else first
                    under = fourth if where == 3 else third
                    given_here = _as_float(given[j])
                    value = zero if where == NONE else given_here
                    total[j] += value
                    product[j] += value * (under if where >= 2 else upper)
        _fold(total, sums[i])
        _fold(product, products[i])


@compiled_fast
def spread_gradients(
    scale: _Floats, slope: _Floats, offset: _Floats, stored: _Stored, out: _Stored, gradient: _Stored, spread: _Stored
) -> None:
    """Write the gradient of x, `scale g + slope x + offset`, where g is the gradient of `normalise` before rectification."""
    n_images, n_y, n_x, _ = stored.shape
    scales, slopes, offsets = _for_row(scale, n_x), _for_row(slope, n_x), _for_row(offset, n_x)
    for i in range(n_images):
        for y in range(n_y):
            row, given, seen = stored[i, y].reshape(-1), gradient[i, y].reshape(-1), out[i, y].reshape(-1)
            written = spread[i, y].reshape(-1)
            for j in range(len(row)):
                value = _as_float(given[j]) if seen[j] > 0 else np.float32(0)
                total = scales[j] * value + slopes[j] * _as_float(row[j]) + offsets[j]
                written[j] = _as_stored(total, written[j])


@compiled_fast
def spread_pooled_gradients(
    scale: _Floats, slope: _Floats, offset: _Floats, stored: _Stored, places: _Places, gradient: _Stored, spread: _Stored
) -> None:
    """Do the same for `normalise_and_pool`; a last row or column without a partner has a gradient of g = 0."""
    n_images, n_y, n_x, n_channels = stored.shape
    slopes, offsets = _for_row(slope, n_x), _for_row(offset, n_x)
    pooled_y, pooled_x = gradient.shape[1:3]
    for i in range(n_images):
        for y in range(n_y):
            row, written = stored[i, y].reshape(-1), spread[i, y].reshape(-1)
            if y >= 2 * pooled_y:
                for j in range(len(row)):
                    written[j] = _as_stored(slopes[j] * _as_float(row[j]) + offsets[j], written[j])
                continue
            given, place = gradient[i, y // 2].reshape(-1), places[i, y // 2].reshape(-1)
            first = np.uint8(2 * (y % 2))
            for x in range(pooled_x):
                left, start = 2 * x * n_channels, x * n_channels
                right = left + n_channels
                for c in range(n_channels):
                    value = scale[c] * _as_float(given[start + c])
                    where = place[start + c]
                    on_left = value if where == first else np.float32(0)
                    on_right = value if where == first + 1 else np.float32(0)
                    total = on_left + slope[c] * _as_float(row[left + c]) + offset[c]
                    written[left + c] = _as_stored(total, written[left + c])
                    total = on_right + slope[c] * _as_float(row[right + c]) + offset[c]
                    written[right + c] = _as_stored(total, written[right + c])
            for j in range(2 * pooled_x * n_channels, len(row)):
                written[j] = _as_stored(slopes[j] * _as_float(row[j]) + offsets[j], written[j])


@compiled_fast
def rectify_and_drop(keep: _Floats, keys: _Keys, stored: _Stored, out: _Stored) -> None:
    """Write `scale max(x, 0)` where the hash of an activation is below a limit, else 0; `keep` is (limit / 2^32, scale)."""
    limit, scale = np.uint32(min(keep[0] * _WORDS, _WORDS - 1)), keep[1]
    n_images, n_y, n_x, n_channels = stored.shape
    length = n_x * n_channels
    for i in range(n_images):
        factor, offset = keys[i, 0], keys[i, 1]
        for y in range(n_y):
            row, written = stored[i, y].reshape(-1), out[i, y].reshape(-1)
            for j in range(length):
                value = _rectified(_as_float(row[j])) * scale
                is_kept = _hashed(np.uint32(y * length + j), factor, offset) < limit
                written[j] = _as_stored(value if is_kept else np.float32(0), written[j])


@compiled_fast
def pool_and_drop(keep: _Floats, keys: _Keys, stored: _Stored, out: _Stored, places: _Places) -> None:
    """Do the same for the largest of each two by two pixels, and write its place 2 y + x, or `NONE` where the result is 0."""
    limit, scale = np.uint32(min(keep[0] * _WORDS, _WORDS - 1)), keep[1]
    n_images, n_y, n_x, n_channels = out.shape
    best = np.empty(2 * n_x * n_channels, np.float32)
    lower = np.empty(len(best), np.uint8)
    for i in range(n_images):
        factor, offset = keys[i, 0], keys[i, 1]
        for y in range(n_y):
            above, below = stored[i, 2 * y].reshape(-1), stored[i, 2 * y + 1].reshape(-1)
            for j in range(len(best)):
                first, second = _as_float(above[j]), _as_float(below[j])
                lower[j] = 2 if second > first else 0
                best[j] = max(first, second)
            written, place = out[i, y].reshape(-1), places[i, y].reshape(-1)
            for x in range(n_x):
                left, start = 2 * x * n_channels, x * n_channels
                right = left + n_channels
                for c in range(n_channels):
                    value, chosen = _larger(best, lower, left + c, right + c)
                    number = np.uint32(y * n_x * n_channels + start + c)
                    is_kept = _hashed(number, factor, offset) < limit
                    place[start + c] = chosen if is_kept and value > 0 else np.uint8(NONE)
                    kept = _rectified(value) * scale if is_kept else np.float32(0)
                    written[start + c] = _as_stored(kept, written[start + c])


@compiled_fast
def spread_kept_gradients(keep: _Floats, out: _Stored, gradient: _Stored, spread: _Stored) -> None:
    """Write the gradient of x in `rectify_and_drop`: `scale g` where its result is positive, else 0."""
    n_images, n_y, _, _ = out.shape
    for i in range(n_images):
        for y in range(n_y):
            given, seen, written = gradient[i, y].reshape(-1), out[i, y].reshape(-1), spread[i, y].reshape(-1)
            for j in range(len(given)):
                value = _as_float(given[j]) * keep[1]
                written[j] = _as_stored(value if seen[j] > 0 else np.float32(0), written[j])


@compiled_fast
def spread_kept_pooled_gradients(keep: _Floats, places: _Places, gradient: _Stored, spread: _Stored) -> None:
    """Do the same for `pool_and_drop`; a last row or column without a partner has no gradient."""
    n_images, n_y, _, n_channels = spread.shape
    pooled_y, pooled_x = gradient.shape[1:3]
    for i in range(n_images):
        for y in range(n_y):
            written = spread[i, y].reshape(-1)
            if y >= 2 * pooled_y:
                written[:] = 0
                continue
            given, place = gradient[i, y // 2].reshape(-1), places[i, y // 2].reshape(-1)
            first = np.uint8(2 * (y % 2))
            for x in range(pooled_x):
                left, start = 2 * x * n_channels, x * n_channels
                right = left + n_channels
                for c in range(n_channels):
                    value = _as_float(given[start + c]) * keep[1]
                    where = place[start + c]
                    written[left + c] = _as_stored(value if where == first else np.float32(0), written[left + c])
                    written[right + c] = _as_stored(value if where == first + 1 else np.float32(0), written[right + c])
            written[2 * pooled_x * n_channels :] = 0


@compiled_fast
def _hashed(number: np.uint32, factor: np.uint32, offset: np.uint32) -> np.uint32:
    """Return 32 bits that look random, for the number of an activation in its image; factor (odd) and offset are the image's.

    They are the finaliser of MurmurHash3 (Appleby 2016).
    """
    h = np.uint32(np.uint32(number * factor) + offset)
    h = np.uint32(np.uint32(h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B))
    h = np.uint32(np.uint32(h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35))
    return np.uint32(h ^ (h >> np.uint32(16)))


@compiled_fast
def _larger(best: _Floats, lower: _Places, left: int, right: int) -> tuple[np.float32, np.uint8]:
    """Return the larger of two columns' largest activations, and its place among the four."""
    is_right = best[right] > best[left]
    value = best[right] if is_right else best[left]
    return value, lower[right] + np.uint8(1) if is_right else lower[left]


@compiled_fast
def _fold(row: _Floats, sums: _Sums) -> None:
    """Write the sum over x of a row `[x * channel]` for each channel."""
    n_channels = len(sums)
    sums[:] = 0
    for start in range(0, len(row), n_channels):
        for c in range(n_channels):
            sums[c] += row[start + c]


@compiled_fast
def _for_row(values: _Floats, n_x: int) -> _Floats:
    """Repeat `[channel]` for each pixel of a row, to `[x * channel]`."""
    repeated = np.empty(n_x * len(values), np.float32)
    for x in range(n_x):
        repeated[x * len(values) : (x + 1) * len(values)] = values
    return repeated


@compiled_fast
def _rectified(value: np.float32) -> np.float32:
    """Return `max(value, 0)`, without a sign if it is 0; NaN stays NaN, because its comparison is false."""
    return np.float32(0) if value <= 0 else value


def _as_float(stored: Any) -> Any:
    """Return a stored activation as float32; the compiler takes what `_reader` chooses."""


@overload(_as_float)
def _reader(stored: Any) -> Any:
    return _from_bfloat16 if stored == types.uint16 else _from_float32


def _from_bfloat16(stored: Any) -> Any:
    return np.uint32(np.uint32(stored) << _HALF_WORD).view(np.float32)


def _from_float32(stored: Any) -> Any:
    return stored


def _as_stored(value: Any, like: Any) -> Any:
    """Return a float32 rounded to the type of a stored activation; the compiler takes what `_writer` chooses."""


@overload(_as_stored)
def _writer(value: Any, like: Any) -> Any:  # noqa: ARG001
    return _to_bfloat16 if like == types.uint16 else _to_float32


def _to_bfloat16(value: Any, like: Any) -> Any:  # noqa: ARG001
    bits = np.float32(value).view(np.uint32)
    return np.uint16(np.uint32(bits + _HALF_UNIT + ((bits >> _HALF_WORD) & _LOWEST_BIT)) >> _HALF_WORD)


def _to_float32(value: Any, like: Any) -> Any:  # noqa: ARG001
    return np.float32(value)
