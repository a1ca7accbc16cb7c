"""Batches of one size: an object's arithmetic is the same, to the last bit, whatever else is scored with it."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


def full_batches(inputs: NDArray[np.float32], size: int) -> Iterator[NDArray[np.float32]]:
    """Yield `[n, ...]` as contiguous batches `[size, ...]`, at least one; views where possible; zeros fill up the last."""
    inputs = np.ascontiguousarray(inputs, dtype=np.float32)
    for start in range(0, max(len(inputs), 1), size):
        batch = inputs[start : start + size]
        if len(batch) < size:
            batch = np.concatenate([batch, np.zeros((size - len(batch), *inputs.shape[1:]), np.float32)])
        yield batch
