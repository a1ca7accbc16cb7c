"""Find the objects that two lists have in common: by their ids, else by their positions."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scanner.catalogue.nearest import NONE, NearestPositions

SAME_ID_ARCSEC = 10.0
"""Largest separation of two rows of one id: row numbers of different inputs may be equal by chance."""
RADIUS_ARCSEC = 1.0
"""Largest separation of two rows of different ids."""


@dataclass(frozen=True)
class Objects:
    """Ids and positions of objects, `[n]` each; no id twice, and NaN for an object without a position."""

    ids: NDArray[np.int64]
    ra_deg: NDArray[np.float64]
    dec_deg: NDArray[np.float64]

    @classmethod
    def of(cls, rows: pa.Table) -> Self:
        """Return those of a table with `object_id`, `ra` and `dec`."""
        ra, dec = (rows[name].cast(pa.float64()).to_numpy() for name in ("ra", "dec"))
        return cls(rows["object_id"].to_numpy(), ra, dec)

    def take(self, numbers: NDArray[np.int64]) -> Self:
        return type(self)(self.ids[numbers], self.ra_deg[numbers], self.dec_deg[numbers])

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Pairs:
    """Objects that both lists have."""

    first: NDArray[np.int64]
    """Number in the first list, `[pair]`, ascending."""
    second: NDArray[np.int64]
    """Number in the second list."""
    separation_arcsec: NDArray[np.float64]
    """NaN where one has no position."""


def matched(first: Objects, second: Objects, radius_arcsec: float = RADIUS_ARCSEC) -> Pairs:
    """Pair the objects of two lists; none is in two pairs.

    Objects with one id are a pair, unless their positions lie more than `SAME_ID_ARCSEC` apart. Of the others, those are pairs
    that are nearest to each other, within a radius.
    """
    _, a, b = np.intersect1d(first.ids, second.ids, assume_unique=True, return_indices=True)
    apart = separations(first.take(a), second.take(b))
    is_same = ~(apart > SAME_ID_ARCSEC)
    a, b, apart = a[is_same], b[is_same], apart[is_same]
    rest_a, rest_b = np.setdiff1d(np.arange(len(first)), a), np.setdiff1d(np.arange(len(second)), b)
    near_a, near_b, near_apart = _mutually_nearest(first.take(rest_a), second.take(rest_b), radius_arcsec)
    a, b = np.concatenate([a, rest_a[near_a]]), np.concatenate([b, rest_b[near_b]])
    order = np.argsort(a)
    return Pairs(a[order], b[order], np.concatenate([apart, near_apart])[order])


def separations(first: Objects, second: Objects) -> NDArray[np.float64]:
    """Return the separation of each object of one list from the one beside it in the other, in arcsec."""
    dec1, dec2 = np.radians(first.dec_deg), np.radians(second.dec_deg)
    half_ra = np.radians(first.ra_deg - second.ra_deg) / 2
    chord = np.sin((dec1 - dec2) / 2) ** 2 + np.cos(dec1) * np.cos(dec2) * np.sin(half_ra) ** 2
    return np.asarray(np.degrees(2 * np.arcsin(np.sqrt(np.clip(chord, 0, 1)))) * 3600)


def _mutually_nearest(
    first: Objects, second: Objects, radius_arcsec: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    there, apart = NearestPositions(second.ra_deg, second.dec_deg).of(first.ra_deg, first.dec_deg, radius_arcsec)
    back, _ = NearestPositions(first.ra_deg, first.dec_deg).of(second.ra_deg, second.dec_deg, radius_arcsec)
    a = np.flatnonzero(there != NONE)
    a = a[back[there[a]] == a]
    return a, there[a], apart[a]
