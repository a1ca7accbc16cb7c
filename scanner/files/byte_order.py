"""Compiled loops over the big-endian words of FITS files, limited only by memory bandwidth."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from infra.numba_loops import compiled_exactly
from scanner.files.fits_checksums import folded


class WordSum:
    """The ones'-complement sum of 32-bit words that arrive in pieces of any length (FITS Standard 4.0, appendix J)."""

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


def float32_of(piece: bytes | memoryview, out: NDArray[np.float32]) -> None:
    """Convert big-endian float32 values to native ones in `out`, which must hold as many values as `piece`."""
    _swap(np.frombuffer(piece, np.uint32), out.view(np.uint32))


@compiled_exactly
def _swapped(word: Any) -> Any:
    return ((word & 0xFF) << 24) | ((word & 0xFF00) << 8) | ((word >> 8) & 0xFF00) | (word >> 24)


@compiled_exactly
def _sum_words(words: NDArray[np.uint32]) -> np.uint64:
    """Return the sum of words that are stored in the opposite byte order."""
    total = np.uint64(0)
    for word in words:
        total += np.uint64(_swapped(word) & np.uint32(0xFFFFFFFF))
    return total


@compiled_exactly
def _swap(words: NDArray[np.uint32], out: NDArray[np.uint32]) -> None:
    for i in range(len(words)):
        out[i] = _swapped(words[i])
