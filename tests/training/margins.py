"""Margins of networks, set by hand, on lenses and non-lenses."""

import numpy as np

from training.margins import Margins


def margins_of(rng, n, vetoes=0.0):
    """Return margins of three networks; the third gives a share of the lenses a very low score."""
    kinds = np.repeat(np.arange(4), n).astype(np.int8)
    lens = np.where(kinds > 0, 1.0, -1.0)[:, None]
    of_kind = np.where(kinds[:, None] == np.arange(1, 4), 1.5, 0.0)
    by_network = {
        name: lens + of_kind + rng.normal(0, 1.5, (len(kinds), 1)) + rng.normal(0, 0.5, (len(kinds), 3)) for name in "abc"
    }
    by_network["c"][(kinds > 0) & (rng.random(len(kinds)) < vetoes)] -= 9
    return Margins(by_network, kinds)
