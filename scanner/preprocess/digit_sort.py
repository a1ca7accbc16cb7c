"""Sort the pixels of each of many images, with digits of their bits in place of comparisons."""

import numpy as np
from numpy.typing import NDArray

from infra.numba_loops import compiled_exactly

_SIGN, _INFINITY, _ALL = np.uint32(0x80000000), np.uint32(0x7F800000), np.uint32(0xFFFFFFFF)
_LOW, _MIDDLE, _HIGH = np.uint32(0), np.uint32(12), np.uint32(22)
"""Lowest bits of the three digits of float32; the upper two hold the sign, the exponent and 11 bits of the mantissa."""
_N_LOW, _N_MIDDLE, _N_HIGH = 1 << 12, 1 << 10, 1 << 10
"""Number of values of each digit."""
_SPREAD_SHARE = 0.25
"""Largest share of numbers with the same high digit up to which hardly any two numbers have the same upper two digits.

The pixels of a sky whose level is about zero are such numbers.
"""


def sorted_by_digits(images: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """Return every `step`-th pixel along both axes of each image `[batch, y, x]`, `[batch, pixel]`, in ascending order.

    The images are C-contiguous and in native byte order. NaN comes last. The numbers are sorted digit by digit (Knuth 1998, The
    Art of Computer Programming, vol. 3, section 5.2.5).
    """
    n_pixels = len(range(0, images.shape[1], step)) * len(range(0, images.shape[2], step))
    out = np.empty((len(images), n_pixels), np.uint32)
    _sort(images.view(np.uint32), step, out)
    return out.view(np.float32)


@compiled_exactly
def _sort(bits: NDArray[np.uint32], step: int, out: NDArray[np.uint32]) -> None:
    n = out.shape[1]
    keys, moved = np.empty(n, np.uint32), np.empty(n, np.uint32)
    low, middle, high = np.empty(_N_LOW, np.uint32), np.empty(_N_MIDDLE, np.uint32), np.empty(_N_HIGH, np.uint32)
    for i in range(len(bits)):
        _fill_keys(bits[i], step, keys)
        _count_upper(keys, middle, high)
        are_spread = _most(high) <= _SPREAD_SHARE * n
        if not are_spread:
            _count_low(keys, low)
            _move(keys, _LOW, low, moved)
            keys[:] = moved
        _move(keys, _MIDDLE, middle, moved)
        _move(moved, _HIGH, high, keys)
        if are_spread:
            _insert(keys)
        for j in range(n):
            out[i, j] = keys[j] ^ (_SIGN if keys[j] & _SIGN else _ALL)


@compiled_exactly
def _fill_keys(bits: NDArray[np.uint32], step: int, keys: NDArray[np.uint32]) -> None:
    """Write the bits of numbers such that their order as integers is that of the numbers, NaN of either sign last."""
    n_x = (bits.shape[1] + step - 1) // step
    for y in range(0, bits.shape[0], step):
        row, of_row = bits[y], keys[y // step * n_x : (y // step + 1) * n_x]
        for x in range(n_x):
            number = row[step * x]
            number = number & ~_SIGN if number & ~_SIGN > _INFINITY else number
            of_row[x] = number ^ (_ALL if number & _SIGN else _SIGN)


@compiled_exactly
def _count_low(keys: NDArray[np.uint32], low: NDArray[np.uint32]) -> None:
    """Write how many keys have each value of the lowest digit."""
    mask = np.uint32(_N_LOW - 1)
    low[:] = 0
    for key in keys:
        low[key & mask] += np.uint32(1)


@compiled_exactly
def _count_upper(keys: NDArray[np.uint32], middle: NDArray[np.uint32], high: NDArray[np.uint32]) -> None:
    """Write how many keys have each value of the upper two digits."""
    mask = np.uint32(_N_MIDDLE - 1)
    middle[:] = 0
    high[:] = 0
    for key in keys:
        middle[(key >> _MIDDLE) & mask] += np.uint32(1)
        high[key >> _HIGH] += np.uint32(1)


@compiled_exactly
def _most(counts: NDArray[np.uint32]) -> np.uint32:
    most = np.uint32(0)
    for count in counts:
        most = max(most, count)
    return most


@compiled_exactly
def _move(keys: NDArray[np.uint32], lowest_bit: np.uint32, counts: NDArray[np.uint32], to: NDArray[np.uint32]) -> None:
    """Write keys in the order of one digit; keys with equal digits keep their order. The counts are overwritten."""
    mask = np.uint32(len(counts) - 1)
    n_lower = np.uint32(0)
    for value in range(len(counts)):
        n_equal = counts[value]
        counts[value] = n_lower
        n_lower += n_equal
    for key in keys:
        digit = (key >> lowest_bit) & mask
        at = counts[digit]
        to[at] = key
        counts[digit] = at + np.uint32(1)


@compiled_exactly
def _insert(keys: NDArray[np.uint32]) -> None:
    """Sort keys that are nearly in order, in place."""
    for j in range(1, len(keys)):
        if keys[j] < keys[j - 1]:
            key, at = keys[j], j
            while at > 0 and keys[at - 1] > key:
                keys[at] = keys[at - 1]
                at -= 1
            keys[at] = key
