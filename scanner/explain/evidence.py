"""Locate the strongest evidence for a lens in the maps of a network."""

import numpy as np
from numpy.typing import NDArray

from scanner.explain.explanation import NetworkMaps


def strongest_occlusion_arcsec(maps: NetworkMaps, i: int) -> float | None:
    """Return how far from the middle, in arcsec, hiding pixels of object `i` lowers the log odds of a lens most.

    None if hiding pixels lowers them nowhere.
    """
    support = -maps.occlusion[i]
    return _from_middle(support, maps.occlusion_side_arcsec, maps.side_arcsec, maps.occlusion_start_arcsec)


def strongest_guided_arcsec(maps: NetworkMaps, i: int) -> float | None:
    """Return how far from the middle, in arcsec, Guided Grad-CAM of object `i` is highest; None if it is zero everywhere."""
    return _from_middle(maps.guided[i], maps.side_arcsec, maps.side_arcsec, 0.0)


def _from_middle(values: NDArray[np.floating], covered_arcsec: float, side_arcsec: float, start_arcsec: float) -> float | None:
    """Return the distance of the highest value from the middle of the stamp; None if no value is above zero.

    The cells `[y, x]` fill a square of side `covered_arcsec` that begins `start_arcsec` from the edge of the stamp.
    """
    if not values.max() > 0:
        return None
    centre = np.add(np.unravel_index(values.argmax(), values.shape), 0.5)
    return float(np.hypot(*(start_arcsec + centre * covered_arcsec / len(values) - side_arcsec / 2)))
