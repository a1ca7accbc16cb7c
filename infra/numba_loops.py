"""Compile loops over pixels to machine code at their first call, and cache the code on disk.

The three policies differ in how far compiled arithmetic may depart from that of the source. A loop keeps its policy: another
one changes the last digits of simulated objects or of scores. Under every policy NaN stays NaN, a division by zero gives
infinity or NaN, and other threads may run meanwhile.

A compiled function may call only compiled functions of its own file: the cache on disk is rebuilt when that file changes, but
not when another file does.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

_F = TypeVar("_F", bound=Callable)


def compiled_exactly(function: _F) -> _F:
    """Compile a loop with the arithmetic of IEEE 754 in the order written: the same bits on every machine, in every batch."""
    return _compiled(function, set())


def compiled_in_order(function: _F) -> _F:
    """Compile a loop whose sums keep their order, but whose products and sums may be fused, where the processor can.

    The processor changes the last digits; the number of cores and the length of a row do not.
    """
    return _compiled(function, {"arcp", "contract", "nsz"})


def compiled_fast(function: _F) -> _F:
    """Compile a loop whose sums may be reordered too, so that they use vector instructions.

    The compiler chooses an order for each place where a function is inlined: use this policy only for loops that sum few terms.
    """
    return _compiled(function, {"contract", "nsz", "reassoc"})


def _compiled(function: _F, fastmath: set[str]) -> _F:
    return numba.njit(cache=True, nogil=True, fastmath=fastmath, error_model="numpy")(function)  # type: ignore[return-value]


def native(images: NDArray[Any]) -> NDArray[np.floating[Any]]:
    """Return the array as C-contiguous float32 or float64 in native byte order, copied only where needed."""
    return np.ascontiguousarray(images, np.result_type(images.dtype, np.float32))
