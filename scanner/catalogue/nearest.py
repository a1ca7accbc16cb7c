"""Find the nearest of many positions on the sky, by a tree of their unit vectors: poles and 0 h are like all other places."""

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scanner.sources.sky_vectors import chord_of, separations_of, unit_vectors

if TYPE_CHECKING:
    from scipy.spatial import KDTree

NONE = -1
"""Number of the nearest position of a place that has none nearby."""


class NearestPositions:
    """Positions on the sky that can be searched; those that are NaN are near nothing."""

    def __init__(self, ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64]) -> None:
        """Take positions, `[n]` each; the tree is built by the first search."""
        self._vectors = unit_vectors(ra_deg, dec_deg)

    def of(
        self, ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64], radius_arcsec: float
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the number of the nearest position of each place, and its separation in arcsec; `NONE` and NaN without one.

        Args:
            ra_deg: Right ascensions of the places, `[m]`; NaN where there is none.
            dec_deg: Declinations.
            radius_arcsec: Largest separation.

        Raises:
            ValueError: the radius is not above 0 and below 180 degrees.
        """
        if not 0 < radius_arcsec < 180 * 3600:
            raise ValueError(f"radius_arcsec must be above 0 and below 648000, got {radius_arcsec:g}")
        found, separations_arcsec = np.full(len(ra_deg), NONE, np.int64), np.full(len(ra_deg), np.nan)
        places = unit_vectors(ra_deg, dec_deg)
        whole = np.flatnonzero(np.isfinite(places).all(axis=1))
        if len(whole) and len(self._whole):
            # The limit of the tree is exclusive, ours is not.
            chords, nearest = self._tree.query(places[whole], distance_upper_bound=np.nextafter(chord_of(radius_arcsec), 2))
            is_near = np.isfinite(chords)
            found[whole[is_near]] = self._whole[nearest[is_near]]
            separations_arcsec[whole[is_near]] = separations_of(chords[is_near])
        return found, separations_arcsec

    @cached_property
    def _whole(self) -> NDArray[np.int64]:
        """Numbers of the positions that are not NaN."""
        return np.flatnonzero(np.isfinite(self._vectors).all(axis=1))

    @cached_property
    def _tree(self) -> "KDTree":
        # Imported here, because other commands read the catalogue without scipy.
        from scipy.spatial import KDTree

        return KDTree(self._vectors[self._whole])
