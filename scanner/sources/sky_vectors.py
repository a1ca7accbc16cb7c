"""Positions on the sky as unit vectors: the chord between two of them keeps its precision at any separation."""

import numpy as np
from numpy.typing import NDArray


def unit_vectors(ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `[n, 3]`; NaN for positions that are NaN."""
    ra, dec = np.radians(ra_deg), np.radians(dec_deg)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)


def chord_of(separation_arcsec: float) -> float:
    """Return the chord of an angle between 0 and 180 degrees."""
    return float(2 * np.sin(np.radians(separation_arcsec / 3600) / 2))


def separations_of(chords: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the angles of chords, in arcsec."""
    return np.asarray(np.degrees(2 * np.arcsin(chords / 2)) * 3600)
