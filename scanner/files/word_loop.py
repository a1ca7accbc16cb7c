"""Sum of big-endian words, as compiled code."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from infra.numba_loops import compiled_exactly


@compiled_exactly
def sum_words(words: NDArray[np.uint32]) -> Any:
    """Return the sum of words that are stored in the opposite byte order."""
    total = np.uint64(0)
    for word in words:
        swapped = ((word & 0xFF) << 24) | ((word & 0xFF00) << 8) | ((word >> 8) & 0xFF00) | (word >> 24)
        total += np.uint64(swapped & np.uint32(0xFFFFFFFF))
    return total
