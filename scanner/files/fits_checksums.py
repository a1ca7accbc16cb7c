"""The sums that CHECKSUM and DATASUM state (FITS Standard 4.0, appendix J)."""

import numpy as np
from numpy.typing import NDArray

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

    def add_floats(self, piece: memoryview, out: NDArray[np.float32]) -> None:
        """Add the next bytes, big-endian float32, and write them to `out` in the order of the machine: one pass over memory.

        Raises:
            ValueError: `out` has another length than `piece`, or the bytes before did not end with a whole word.
        """
        if self._rest or len(piece) != out.nbytes:
            raise ValueError(f"{len(piece)} bytes after {len(self._rest)} of a broken word do not fill {out.nbytes} bytes")
        if len(piece) < LOOP_BYTES:
            self.add(piece)
            out[...] = np.frombuffer(piece, ">f4")
            return
        from scanner.files.word_loop import sum_and_swap_words  # imported here, as in `_sum`

        self._total += int(sum_and_swap_words(np.frombuffer(piece, np.uint32), out.view(np.uint32)))

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
