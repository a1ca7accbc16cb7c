"""Weighted sums whose terms are added in one order, so that an object's sums are the same bits in any batch."""

import numpy as np
from numpy.typing import NDArray


def weighted_sums(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sums over the terms of values times weights, `[batch, sum]`.

    A product of matrices would add the terms in an order that depends on the number of rows.

    Args:
        values: `[batch, term]`.
        weights: `[sum, term]`.
    """
    sums = np.zeros((len(values), len(weights)))
    for term in range(values.shape[1]):
        sums += values[:, [term]] * weights[:, term]
    return sums
