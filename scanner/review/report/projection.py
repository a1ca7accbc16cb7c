"""Project the sky onto a plane, in degrees near the centre: x grows to the west, y to the north, so RA grows to the left."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_DEGREE = 180 / np.pi
_STEPS, _SMALL = 50, 1e-12


class Projection(Protocol):
    """A map of the sky."""

    def plane(self, ra_deg: Floats, dec_deg: Floats) -> tuple[Floats, Floats]:
        """Return x and y of positions `[n]`; NaN for those that the map does not show."""
        ...

    def shows(self, ra_deg: Floats, dec_deg: Floats) -> NDArray[np.bool_]:
        """Return which polygons, given by their corners `[polygon, corner]`, the map shows in one piece, `[polygon]`."""
        ...


@dataclass(frozen=True)
class TangentPlane:
    """The gnomonic projection about a centre, for fields of some degrees (Calabretta & Greisen 2002, TAN)."""

    ra_deg: float
    dec_deg: float

    def plane(self, ra_deg: Floats, dec_deg: Floats) -> tuple[Floats, Floats]:
        """Return x and y of positions `[n]`; NaN for those at 90 degrees or more from the centre."""
        da, dec, dec0 = np.radians(ra_deg - self.ra_deg), np.radians(dec_deg), np.radians(self.dec_deg)
        cosine = np.sin(dec0) * np.sin(dec) + np.cos(dec0) * np.cos(dec) * np.cos(da)
        cosine = np.where(cosine > _SMALL, cosine, np.nan)
        east = np.cos(dec) * np.sin(da) / cosine
        north = (np.cos(dec0) * np.sin(dec) - np.sin(dec0) * np.cos(dec) * np.cos(da)) / cosine
        return -east * _DEGREE, north * _DEGREE

    def shows(self, ra_deg: Floats, dec_deg: Floats) -> NDArray[np.bool_]:
        """Return which polygons lie within 90 degrees of the centre."""
        x, _ = self.plane(ra_deg, dec_deg)
        return np.asarray(np.isfinite(x).all(axis=1))

    def sky(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Return RA, between 0 and 360, and Dec of places `[n]` on the plane."""
        east, north = -np.asarray(x) / _DEGREE, np.asarray(y) / _DEGREE
        dec0 = np.radians(self.dec_deg)
        # The direction of each place, in the frame whose first axis points to RA and Dec 0 of the centre's meridian.
        ahead = np.cos(dec0) - north * np.sin(dec0)
        up = np.sin(dec0) + north * np.cos(dec0)
        ra = self.ra_deg + np.degrees(np.arctan2(east, ahead))
        return np.mod(ra, 360), np.degrees(np.arctan2(up, np.hypot(east, ahead)))


@dataclass(frozen=True)
class Mollweide:
    """The equal-area projection of the whole sky onto an ellipse, twice as wide as high (Calabretta & Greisen 2002, MOL)."""

    ra_deg: float
    """RA of the middle."""

    def plane(self, ra_deg: Floats, dec_deg: Floats) -> tuple[Floats, Floats]:
        """Return x and y of positions `[n]`."""
        angle = _auxiliary(np.radians(dec_deg))
        x = 2 * np.sqrt(2) / np.pi * self._away(ra_deg) * np.cos(angle)
        return -x, np.sqrt(2) * np.sin(angle) * _DEGREE

    def shows(self, ra_deg: Floats, dec_deg: Floats) -> NDArray[np.bool_]:
        """Return which polygons the rim of the map does not divide; the RA of a corner at a pole does not matter."""
        is_pole = np.abs(dec_deg) > 90 - _SMALL
        away = self._away(ra_deg)
        least, most = np.where(is_pole, np.inf, away).min(axis=1), np.where(is_pole, -np.inf, away).max(axis=1)
        return np.asarray(most - least < 180)

    def _away(self, ra_deg: Floats) -> Floats:
        return np.asarray(np.mod(np.asarray(ra_deg) - self.ra_deg + 180, 360) - 180)


def _auxiliary(dec: Floats) -> Floats:
    """Return the angle t with 2 t + sin 2 t = pi sin(dec); halving the interval converges at the poles, too."""
    target = np.pi * np.sin(dec)
    low, high = np.full(np.shape(dec), -np.pi / 2), np.full(np.shape(dec), np.pi / 2)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        is_below = 2 * middle + np.sin(2 * middle) < target
        low, high = np.where(is_below, middle, low), np.where(is_below, high, middle)
    return np.asarray((low + high) / 2)


def middle_of(ra_deg: Floats, dec_deg: Floats) -> tuple[float, float, float]:
    """Return RA and Dec of the middle of positions `[n]`, n at least 1, and the largest distance from it, all in degrees.

    The middle is the direction of the mean unit vector; RA is 0 and Dec 90 if that vanishes.
    """
    ra, dec = np.radians(ra_deg), np.radians(dec_deg)
    vectors = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)
    mean = vectors.mean(axis=0)
    length = np.linalg.norm(mean)
    mean = mean / length if length > _SMALL else np.array([0.0, 0.0, 1.0])
    chords = np.linalg.norm(vectors - mean, axis=1)
    farthest = np.degrees(2 * np.arcsin(np.clip(chords / 2, 0, 1)).max())
    return float(np.degrees(np.arctan2(mean[1], mean[0])) % 360), float(np.degrees(np.arcsin(mean[2]))), float(farthest)
