"""Each target gets the nearest of all sources, as brute force over all pairs finds it."""

import numpy as np
import pyarrow as pa
import pytest
from astropy.coordinates import SkyCoord
from astropy.units import deg

from scanner.sources.positions import SkyPositions
from scanner.sources.targets import Targets, nearest_of_all

RADIUS_ARCSEC = 30.0


def targets_at(ra, dec, radius_arcsec=RADIUS_ARCSEC):
    return Targets(SkyPositions(pa.array(np.arange(len(ra))), np.asarray(ra), np.asarray(dec), {}), radius_arcsec)


@pytest.mark.parametrize(("ra", "dec"), [(0.0, -45.0), (123.0, 89.99), (359.999, 0.0)])
def test_the_nearest_sources_are_those_of_brute_force(ra, dec):
    rng = np.random.default_rng(1)
    spread = rng.uniform(-0.05, 0.05, (2, 2, 200))
    source, target = ((ra + x / np.cos(np.radians(dec)), np.clip(dec + y, -90, 90)) for x, y in spread)
    target[0][:2], target[1][2] = np.nan, -80.0
    found = targets_at(*target).nearest(*source)
    pairs = SkyCoord(*target * deg)[:, None].separation(SkyCoord(*source * deg)[None, :]).arcsec
    pairs = np.where(np.isnan(pairs), np.inf, pairs)
    nearest, is_near = np.argmin(pairs, axis=1), np.min(pairs, axis=1) <= RADIUS_ARCSEC
    assert found.targets.tolist() == np.flatnonzero(is_near).tolist()
    assert 0 < len(found.targets) < 200
    assert found.sources.tolist() == nearest[is_near].tolist()
    np.testing.assert_allclose(found.separations_arcsec, np.min(pairs, axis=1)[is_near], rtol=1e-6, atol=1e-6)


def test_the_edge_of_the_radius_counts_and_no_more():
    source = np.array([10.0]), np.array([0.0])
    at = [np.array([0.999999, 1.0, 1.000001]) / 3600, np.zeros(3)]
    assert targets_at(10.0 + at[0], at[1], 1.0).nearest(*source).targets.tolist() == [0, 1]


def test_no_sources_have_no_target():
    assert len(targets_at([1.0], [2.0]).nearest(np.empty(0), np.empty(0)).targets) == 0


def test_a_target_belongs_to_the_tile_of_its_nearest_source():
    targets = targets_at([10.0, 20.0, 30.0], [0.0, 0.0, 0.0])
    near, far = 1 / 3600, 2 / 3600
    tiles = [targets.nearest(np.array(ra), np.zeros(2)) for ra in ([10 + far, 20.0], [10 + near, 20.0])]
    kept = nearest_of_all(tiles, 3)
    assert [one.targets.tolist() for one in kept] == [[1], [0]]
    assert [one.sources.tolist() for one in kept] == [[1], [0]]
