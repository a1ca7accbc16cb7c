"""Loops over big-endian words, as compiled code."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from infra.numba_loops import compiled_exactly


@compiled_exactly
def sum_words(words: NDArray[np.uint32]) -> Any:
    """Return the sum of words that are stored in the opposite byte order."""
    total = np.uint64(0)
    for word in words:
        total += np.uint64(_swapped(word))
    return total


@compiled_exactly
def sum_and_swap_words(words: NDArray[np.uint32], out: NDArray[np.uint32]) -> Any:
    """Write words that are stored in the opposite byte order to `out`, in the order of the machine, and return their sum."""
    total = np.uint64(0)
    for i in range(len(words)):
        out[i] = _swapped(words[i])
        total += np.uint64(out[i])
    return total


@compiled_exactly
def _swapped(word: np.uint32) -> np.uint32:
    swapped = ((word & 0xFF) << 24) | ((word & 0xFF00) << 8) | ((word >> 8) & 0xFF00) | (word >> 24)
    return np.uint32(swapped & np.uint32(0xFFFFFFFF))
