"""The sums that CHECKSUM and DATASUM state (FITS Standard 4.0, appendix J)."""

import numpy as np

LOOP_BYTES = 2**18
"""Least length of a piece that the compiled loop sums: loading it takes as long as numpy takes for a gigabyte."""


class WordSum:
    """The ones'-complement sum of big-endian 32-bit words that arrive in pieces of any length.

    A compiled loop sums long pieces: with numpy alone, reading a tile's mosaics takes a quarter more processor time.
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
        self._total += _sum(piece)

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


def _sum(piece: bytes | memoryview) -> int:
    if len(piece) < LOOP_BYTES:
        return int(np.frombuffer(piece, ">u4").sum(dtype=np.uint64))
    # Imported here: numba takes half a second, and a process that only plans a scan reads no mosaics.
    from scanner.files.word_loop import sum_words

    return int(sum_words(np.frombuffer(piece, np.uint32)))
