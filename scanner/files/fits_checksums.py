"""The sums that CHECKSUM and DATASUM state (FITS Standard 4.0, appendix J)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from infra.numba_loops import compiled_exactly


class WordSum:
    """The ones'-complement sum of big-endian 32-bit words that arrive in pieces of any length.

    Its loop is compiled: with `np.frombuffer(piece, ">u4").sum(dtype=np.uint64)` instead, reading a tile's mosaics takes a
    quarter more processor time.
    """

    def __init__(self) -> None:
        self._total = 0
        self._rest = b""

    def add(self, piece: bytes | memoryview) -> None:
        """Add the next bytes of the stream to the sum."""
        if self._rest or len(piece) % 4:
            piece = self._rest + bytes(piece)
            n_whole = len(piece) // 4 * 4
            piece, self._rest = piece[:n_whole], piece[n_whole:]
        self._total += int(_sum_words(np.frombuffer(piece, np.uint32)))

    @property
    def value(self) -> int:
        """Sum of the complete words so far."""
        return folded(self._total)


def word_sum(data: bytes | memoryview) -> int:
    """Return the ones'-complement sum of whole FITS blocks."""
    total = WordSum()
    total.add(data)
    return total.value


def folded(total: int) -> int:
    """Return a sum of 32-bit words with its carries added back to the low bits."""
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


@compiled_exactly
def _sum_words(words: NDArray[np.uint32]) -> Any:
    """Return the sum of words that are stored in the opposite byte order."""
    total = np.uint64(0)
    for word in words:
        swapped = ((word & 0xFF) << 24) | ((word & 0xFF00) << 8) | ((word >> 8) & 0xFF00) | (word >> 24)
        total += np.uint64(swapped & np.uint32(0xFFFFFFFF))
    return total
