"""Loops over pixels, compiled to machine code at their first call and kept on disk."""

from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

_F = TypeVar("_F", bound=Callable)


def compiled(function: _F) -> _F:
    """NaN stays NaN; sums are taken in the order that suits the machine, the same in every call; other threads may run.

    A function may call only compiled ones of its own file: what is on disk is made anew when that file changes, not another.
    """
    flags = {"contract", "nsz", "reassoc"}
    return numba.njit(cache=True, nogil=True, fastmath=flags, error_model="numpy")(function)  # type: ignore[return-value]


def native(images: NDArray[Any]) -> NDArray[np.floating[Any]]:
    """What compiled loops read: C-contiguous, float32 or float64 in this machine's byte order; a copy only where needed."""
    return np.ascontiguousarray(images, np.result_type(images.dtype, np.float32))
