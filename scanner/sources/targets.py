"""Targets: positions on the sky whose nearest sources are scanned."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scanner.sources.positions import SkyPositions
from scanner.sources.sky_vectors import chord_of, separations_of, unit_vectors


class Nearest(NamedTuple):
    """Targets that have a source of a tile within the radius, `[n]` each."""

    targets: NDArray[np.int64]
    """Numbers of the targets in their list, from 0."""
    sources: NDArray[np.int64]
    """Row of the nearest source of each."""
    separations_arcsec: NDArray[np.float64]

    def among(self, is_wanted: NDArray[np.bool_]) -> "Nearest":
        """Return the targets whose source is wanted; `is_wanted` is a mask of the sources of the tile."""
        return self.where(is_wanted[self.sources])

    def where(self, kept: NDArray[np.bool_]) -> "Nearest":
        """Return the targets that a mask `[n]` keeps."""
        return Nearest(self.targets[kept], self.sources[kept], self.separations_arcsec[kept])


class Targets:
    """A list of targets and the radius in which a source may lie."""

    def __init__(self, positions: SkyPositions, radius_arcsec: float) -> None:
        """Keep the list; a target whose position is NaN has no source."""
        self.names = positions.object_ids
        self._vectors = unit_vectors(positions.ra, positions.dec)
        self._chord = np.nextafter(chord_of(radius_arcsec), 2)

    def __len__(self) -> int:
        return len(self._vectors)

    def nearest(self, ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64]) -> Nearest:
        """Return the targets that have a source within the radius, edge included, each with its nearest one.

        Args:
            ra_deg: Right ascensions of the sources, `[n]`.
            dec_deg: Declinations, `[n]`.
        """
        # Imported here: a scan without targets does not need scipy.
        from scipy.spatial import KDTree

        sources = unit_vectors(ra_deg, dec_deg)
        near = self._near(sources)
        if not len(near):
            return Nearest(near, near, np.empty(0))
        chords, rows = KDTree(sources).query(self._vectors[near], distance_upper_bound=self._chord)
        found = np.isfinite(chords)
        return Nearest(near[found], rows[found].astype(np.int64), separations_of(chords[found]))

    def _near(self, sources: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the targets in a sphere about all sources: a survey's list has few targets in a tile."""
        if not len(sources):
            return np.empty(0, np.int64)
        middle = sources.mean(axis=0)
        farthest = np.linalg.norm(sources - middle, axis=1).max() + self._chord
        # A comparison with NaN is false.
        return np.flatnonzero(np.linalg.norm(self._vectors - middle, axis=1) <= farthest)


def nearest_of_all(found: Sequence[Nearest], n_targets: int) -> list[Nearest]:
    """Keep each target in one tile only, that of its nearest source; of equal ones, in the first.

    Args:
        found: Targets with a source in each tile.
        n_targets: Number of all targets.
    """
    least, tile = np.full(n_targets, np.inf), np.full(n_targets, -1)
    for number, near in enumerate(found):
        is_nearer = near.separations_arcsec < least[near.targets]
        chosen = near.targets[is_nearer]
        least[chosen], tile[chosen] = near.separations_arcsec[is_nearer], number
    kept = [tile[near.targets] == number for number, near in enumerate(found)]
    return [near.where(is_kept) for near, is_kept in zip(found, kept, strict=True)]
