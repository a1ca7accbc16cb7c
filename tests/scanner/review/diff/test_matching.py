"""Pairs of objects against a search through all pairs."""

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord

from scanner.review.diff.matching import SAME_ID_ARCSEC, Objects, matched, separations

ARCSEC = 1 / 3600


def objects(*rows):
    ids, ra, dec = zip(*rows, strict=True) if rows else ((), (), ())
    return Objects(np.array(ids, np.int64), np.array(ra, float), np.array(dec, float))


def pairs(first, second, radius=1.0):
    found = matched(first, second, radius)
    return list(zip(found.first.tolist(), found.second.tolist(), strict=True)), found.separation_arcsec


def brute(first, second, radius):
    """Pair by ids near each other, then the mutually nearest of the rest, with a table of all separations."""
    a, b = (SkyCoord(side.ra_deg, side.dec_deg, unit="deg") for side in (first, second))
    apart = a[:, None].separation(b[None, :]).to_value(units.arcsec)
    same = (first.ids[:, None] == second.ids[None, :]) & (apart <= SAME_ID_ARCSEC)
    found = {(int(i), int(j)) for i, j in np.argwhere(same)}
    apart[same.any(axis=1)] = np.inf
    apart[:, same.any(axis=0)] = np.inf
    for i, j in np.argwhere(apart <= radius):
        if apart[i].argmin() == j and apart[:, j].argmin() == i:
            found.add((int(i), int(j)))
    return sorted(found)


@pytest.mark.parametrize("centre", [(10.0, 0.0), (0.0, 60.0), (123.0, -89.9)])
def test_random_lists_are_paired_as_by_hand(rng, centre):
    n = 150

    def places(count):
        east, north = rng.uniform(-10, 10, (2, count)) * ARCSEC
        return (centre[0] + east / np.cos(np.radians(centre[1]))) % 360, centre[1] + north

    first = Objects(rng.permutation(300)[:n], *places(n))
    second = Objects(rng.permutation(300)[:n], *places(n))
    for radius in (0.5, 3.0):
        assert pairs(first, second, radius)[0] == brute(first, second, radius)


def test_ids_count_before_positions():
    first = objects((1, 10, 0), (2, 10, 2 * ARCSEC))
    second = objects((2, 10, 0.1 * ARCSEC), (1, 10, 1.9 * ARCSEC))
    found, apart = pairs(first, second)
    assert found == [(0, 1), (1, 0)]
    assert apart == pytest.approx([1.9, 1.9])


def test_equal_ids_far_apart_are_chance():
    first = objects((1, 10, 0), (2, 20, 0))
    assert pairs(first, objects((1, 10, 9.9 * ARCSEC), (2, 20, 10.1 * ARCSEC)))[0] == [(0, 0)]
    # Then the position decides.
    assert pairs(first, objects((2, 10, 0), (1, 20, 0)))[0] == [(0, 0), (1, 1)]


def test_objects_without_positions_have_their_ids():
    nan = float("nan")
    found, apart = pairs(objects((1, nan, nan), (3, nan, nan)), objects((1, 10, 0), (2, nan, nan)))
    assert found == [(0, 0)]
    assert np.isnan(apart).all()


def test_an_object_has_one_partner():
    first = objects((1, 10, 0), (2, 10, 0.5 * ARCSEC))
    found, _ = pairs(first, objects((7, 10, 0.2 * ARCSEC)))
    assert found == [(0, 0)]
    assert pairs(objects(), first)[0] == pairs(first, objects())[0] == []


def test_separations_are_those_of_astropy(rng):
    ra, dec = rng.uniform(0, 360, (2, 200)), np.degrees(np.arcsin(rng.uniform(-1, 1, (2, 200))))
    first, second = (Objects(np.arange(200), ra[i], dec[i]) for i in (0, 1))
    expected = SkyCoord(ra[0], dec[0], unit="deg").separation(SkyCoord(ra[1], dec[1], unit="deg")).to_value(units.arcsec)
    assert separations(first, second) == pytest.approx(expected)
