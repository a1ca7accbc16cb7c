"""The brightness of a galaxy as a function of the radius of its ellipses: medians of rings, made convex."""

import math

import numpy as np
from numpy.typing import NDArray

from infra.numba_loops import compiled_exactly

_ROUND_ARCSEC = 0.2
"""Radius at which blur has halved the ellipticity of a galaxy: about the width of Euclid's VIS."""
_CORE_ARCSEC = 0.4
"""Radius outside which a profile is convex, as that of any galaxy; blur makes it concave inside."""

_Values = NDArray[np.float64]
_Indices = NDArray[np.int64]


@compiled_exactly
def light_left(values: _Values, order: _Indices, y: _Values, x: _Values, place: _Values, pixel_arcsec: float) -> float:
    """Return the mean root of the light that a galaxy on ellipses leaves.

    Roots count arcs, which are bright and few, less than the wide wings of a galaxy.

    Args:
        values: Light of each pixel, `[pixel]`.
        order: Numbers of the pixels from the faintest to the brightest.
        y: Distances along y from the middle of the image, in arcsec.
        x: Those along x.
        place: Centre of the ellipses (y, x, in arcsec), and ellipticity (along x, along the diagonal).
        pixel_arcsec: Side of a pixel.
    """
    galaxy = profile(values, order, ellipse_radii_arcsec(y, x, place), pixel_arcsec)
    total = 0.0
    for i in range(len(values)):
        total += math.sqrt(abs(values[i] - galaxy[i]))
    return total / len(values)


@compiled_exactly
def ellipse_radii_arcsec(y: _Values, x: _Values, place: _Values) -> _Values:
    """Return the mean radius of the ellipse through each pixel, `[pixel]`; ellipses are rounder near the centre.

    The ellipticities of `place` are (a^2 - b^2) / (a^2 + b^2) of the semi-axes. Arguments are those of `light_left`.
    """
    plus, cross = place[2], place[3]
    radii = np.empty(len(y))
    for i in range(len(y)):
        dy, dx = y[i] - place[0], x[i] - place[1]
        square = dy * dy + dx * dx
        e = square / (square + _ROUND_ARCSEC * _ROUND_ARCSEC)
        stretched = square - e * (plus * (dx * dx - dy * dy) + 2 * cross * dx * dy)
        radii[i] = math.sqrt(stretched / math.sqrt(1 - e * e * (plus * plus + cross * cross)))
    return radii


@compiled_exactly
def profile(values: _Values, order: _Indices, radii_arcsec: _Values, pixel_arcsec: float) -> _Values:
    """Return the profile at each radius, `[pixel]`: medians of rings a pixel wide, joined by straight lines.

    From 0.4 arcsec outwards the profile is convex: the highest one that lies above no median. It never rises.

    Args:
        values: Light of each pixel, `[pixel]`.
        order: Numbers of the pixels from the faintest to the brightest.
        radii_arcsec: Radius of the ellipse through each pixel.
        pixel_arcsec: Width of a ring.
    """
    ring = np.empty(len(values), np.int64)
    n_rings = 0
    for i in range(len(values)):
        ring[i] = np.int64(radii_arcsec[i] / pixel_arcsec)
        n_rings = max(n_rings, ring[i] + 1)
    middles, medians = np.empty(n_rings), np.empty(n_rings)
    n_places = _medians(values, order, radii_arcsec, ring, middles, medians)
    n_places = _keep_convex(middles, medians, n_places)
    result = np.empty(len(values))
    first_beyond = np.zeros(n_rings, np.int64)
    for i in range(len(values)):
        result[i] = _at(radii_arcsec[i], first_beyond, ring[i], middles, medians, n_places)
    return result


@compiled_exactly
def _medians(
    values: _Values, order: _Indices, radii_arcsec: _Values, ring: _Indices, middles: _Values, medians: _Values
) -> int:
    """Write the mean radius and the median of each ring that holds a pixel, from the inside out; return their number."""
    numbers, sums = np.zeros(len(middles), np.int64), np.zeros(len(middles))
    for i in range(len(ring)):
        numbers[ring[i]] += 1
        sums[ring[i]] += radii_arcsec[i]
    starts, written = np.zeros(len(middles), np.int64), np.zeros(len(middles), np.int64)
    for k in range(1, len(middles)):
        starts[k] = starts[k - 1] + numbers[k - 1]
    # Pixels come from the faintest to the brightest, so those of each ring are in order too.
    ordered = np.empty(len(values))
    for j in range(len(order)):
        k = ring[order[j]]
        ordered[starts[k] + written[k]] = values[order[j]]
        written[k] += 1
    n_places = 0
    for k in range(len(middles)):
        if numbers[k]:
            both = 2 * starts[k] + numbers[k] - 1
            middles[n_places] = sums[k] / numbers[k]
            medians[n_places] = (ordered[both // 2] + ordered[(both + 1) // 2]) / 2
            n_places += 1
    return n_places


@compiled_exactly
def _keep_convex(middles: _Values, medians: _Values, n_places: int) -> int:
    """Keep the places between which straight lines lie above no median, and those in the core; return their number.

    Each place is at most as bright as the one before.
    """
    n_core = 0
    while n_core < n_places - 1 and middles[n_core] < _CORE_ARCSEC:
        n_core += 1
    n_kept = n_core
    for i in range(n_core, n_places):
        while n_kept > n_core + 1 and _rises(middles, medians, n_kept - 2, n_kept - 1, i):
            n_kept -= 1
        middles[n_kept], medians[n_kept] = middles[i], medians[i]
        n_kept += 1
    for i in range(1, n_kept):
        medians[i] = min(medians[i], medians[i - 1])
    return n_kept


@compiled_exactly
def _rises(middles: _Values, medians: _Values, first: int, middle: int, last: int) -> bool:
    """Return whether the middle of three places lies above the line between the others."""
    share = (middles[middle] - middles[first]) / (middles[last] - middles[first])
    return medians[middle] >= (1 - share) * medians[first] + share * medians[last]


@compiled_exactly
def _at(radius_arcsec: float, first_beyond: _Indices, ring: int, middles: _Values, medians: _Values, n_places: int) -> float:
    """Return the value at a radius on straight lines between places; constant before the first and beyond the last.

    `first_beyond` remembers, for each ring, the place beyond the last radius, which is near those of the others.
    """
    place = first_beyond[ring]
    while place > 0 and middles[place - 1] >= radius_arcsec:
        place -= 1
    while place < n_places and middles[place] < radius_arcsec:
        place += 1
    first_beyond[ring] = place
    if place == 0:
        return medians[0]
    if place == n_places:
        return medians[n_places - 1]
    share = (radius_arcsec - middles[place - 1]) / (middles[place] - middles[place - 1])
    return (1 - share) * medians[place - 1] + share * medians[place]
