"""Compile loops over pixels to machine code at their first call, and cache the code on disk."""

from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

_F = TypeVar("_F", bound=Callable)


def compiled(function: _F) -> _F:
    """Compile a function so that NaN stays NaN, sums have the same order in every call, and other threads may run.

    The machine determines the order of the sums. A compiled function may call only compiled functions of its own file: the
    cache on disk is rebuilt when that file changes, but not when another file does.
    """
    flags = {"contract", "nsz", "reassoc"}
    return numba.njit(cache=True, nogil=True, fastmath=flags, error_model="numpy")(function)  # type: ignore[return-value]


def native(images: NDArray[Any]) -> NDArray[np.floating[Any]]:
    """Return the array as C-contiguous float32 or float64 in native byte order, copied only where needed."""
    return np.ascontiguousarray(images, np.result_type(images.dtype, np.float32))
