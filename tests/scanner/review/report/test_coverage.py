"""The cells of a map against healpy's numbering as mocpy has it, and their growth with the area."""

import numpy as np
import pytest
from mocpy import MOC

from scanner.review.report.coverage import FINEST_ORDER, FOOTPRINT_ORDER, MOST_DRAWN, MOST_KEPT, Coverage


def covered(ra, dec, is_scored=None, n_batches=3):
    coverage = Coverage()
    is_scored = np.ones(len(ra), bool) if is_scored is None else is_scored
    for part in np.array_split(np.arange(len(ra)), n_batches):
        coverage.add(ra[part], dec[part], is_scored[part])
    return coverage


def box(rng, n, side_deg, ra=0.0, dec=-30.0):
    return (ra + rng.uniform(-0.5, 0.5, n) * side_deg) % 360, dec + rng.uniform(-0.5, 0.5, n) * side_deg


def test_cells_are_those_of_a_moc(rng):
    from astropy import units
    from astropy.coordinates import Latitude, Longitude

    ra, dec = box(rng, 40_000, 0.5)
    cells = covered(ra, dec).cells()
    assert FOOTPRINT_ORDER <= cells.order <= FINEST_ORDER
    moc = MOC.from_lonlat(Longitude(ra, units.deg), Latitude(dec, units.deg), max_norder=cells.order)
    assert set(cells.number.tolist()) == set(moc.flatten().tolist())
    assert cells.scored_square_degrees == pytest.approx(moc.sky_fraction * 41252.96, rel=1e-6)
    # A square of half a degree at Dec -30, and the rim of cells.
    assert 0.25 * np.cos(np.radians(30)) < cells.scored_square_degrees < 0.27


def test_a_dense_area_has_no_holes(rng):
    """Each cell inside the area is there, whatever the density of objects."""
    from cdshealpix import nested

    for per_square_arcmin in (2, 30, 100):
        ra, dec = box(rng, int(per_square_arcmin * 24**2), 0.4)
        cells = covered(ra, dec).cells()
        lon, lat = box(rng, 2000, 0.38)
        from astropy import units
        from astropy.coordinates import Latitude, Longitude

        inside = nested.lonlat_to_healpix(Longitude(lon, units.deg), Latitude(lat, units.deg), cells.order)
        assert np.isin(np.asarray(inside).astype(np.int64), cells.number).mean() > 0.98


def test_memory_and_maps_are_bounded(rng):
    coverage = covered(rng.uniform(0, 360, 300_000), np.degrees(np.arcsin(rng.uniform(-1, 1, 300_000))))
    assert len(coverage._number) <= MOST_KEPT
    assert coverage._rows[:, 0].sum() == 300_000
    cells = coverage.cells()
    assert len(cells.number) <= MOST_DRAWN
    assert cells.scored_square_degrees == pytest.approx(41253, rel=1e-3)


def test_objects_far_apart_stay_small_dots():
    cells = covered(np.array([10.0, 100.0, 200.0]), np.array([0.0, 45.0, -80.0])).cells()
    assert (cells.order, len(cells.number)) == (FOOTPRINT_ORDER, 3)


def test_cells_without_a_score_are_told_apart():
    ra, dec = np.array([10.0, 10.0, 50.0]), np.zeros(3)
    cells = covered(ra, dec, np.array([True, False, False]), n_batches=2).cells()
    lon, _ = cells.centres()
    assert dict(zip(np.round(lon).tolist(), cells.is_scored.tolist(), strict=True)) == {10: True, 50: False}
    # One of the two cells, which have 360**2 / pi square degrees over 12 * 4**order.
    assert cells.scored_square_degrees == pytest.approx(360**2 / np.pi / (12 * 4**cells.order))


def test_nothing_is_no_area():
    cells = Coverage().cells()
    assert (len(cells.number), cells.scored_square_degrees) == (0, 0)


def test_corners_surround_the_centre(rng):
    cells = covered(*box(rng, 3000, 0.2, ra=359.99)).cells()
    corner_ra, corner_dec = cells.corners()
    ra, dec = cells.centres()
    assert np.all((corner_dec.min(axis=1) < dec) & (dec < corner_dec.max(axis=1)))
    away = np.mod(corner_ra - ra[:, None] + 180, 360) - 180
    assert np.all((away.min(axis=1) < 0) & (away.max(axis=1) > 0))
    assert np.abs(away).max() < cells.side_deg
    middle_ra, middle_dec, farthest = cells.middle()
    assert abs(np.mod(middle_ra - 359.99 + 180, 360) - 180) < 0.02
    assert middle_dec == pytest.approx(-30, abs=0.02)
    assert 0.1 < farthest < 0.2
