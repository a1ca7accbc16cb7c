"""The projections of maps against astropy's WCS, and their inverse against themselves."""

import numpy as np
import pytest
from astropy.wcs import WCS

from scanner.review.report.projection import Mollweide, TangentPlane, middle_of


def wcs(kind, ra, dec):
    found = WCS(naxis=2)
    found.wcs.ctype = [f"RA---{kind}", f"DEC--{kind}"]
    found.wcs.crval = [ra, dec]
    found.wcs.cdelt = [-1, 1]
    found.wcs.crpix = [1, 1]
    return found


@pytest.mark.parametrize("centre", [(52.9, -28.1), (0.0, 0.0), (359.99, 66.0), (17.5, 89.9), (200.0, -90.0)])
def test_the_tangent_plane_is_that_of_fits(centre, rng):
    ra, dec = rng.uniform(0, 360, 4000), rng.uniform(-90, 90, 4000)
    x, y = TangentPlane(*centre).plane(ra, dec)
    shown = np.isfinite(x)
    assert 1500 < shown.sum() < 2500
    near = shown & (np.hypot(x, y) < 200)
    expected = wcs("TAN", *centre).all_world2pix(ra[near], dec[near], 0)
    assert np.allclose([x[near], y[near]], expected, rtol=1e-9, atol=1e-9)


def test_places_on_the_plane_lead_back_to_the_sky(rng):
    for centre in ((52.9, -28.1), (0.1, 89.99), (359.9, -60.0)):
        plane = TangentPlane(*centre)
        x, y = rng.uniform(-40, 40, (2, 500))
        again = plane.plane(*plane.sky(x, y))
        assert np.allclose(again, [x, y], atol=1e-9)


def test_mollweide_is_that_of_fits(rng):
    ra, dec = rng.uniform(0, 360, 4000), np.degrees(np.arcsin(rng.uniform(-1, 1, 4000)))
    dec[:6] = [90, -90, 89.9999, -89.9999, 0, 1e-9]
    for middle in (0.0, 180.0, 53.3):
        expected = wcs("MOL", middle, 0).all_world2pix(ra, dec, 0)
        found = Mollweide(middle).plane(ra, dec)
        # At the edge, 180 degrees from the middle, a position may lie on either side.
        inside = np.abs(np.mod(ra - middle, 360) - 180) > 1e-6
        # At a pole, a rounding error of sin(dec) is its cubic root on the map.
        assert np.allclose(np.array(found)[:, inside], np.array(expected)[:, inside], atol=2e-3)


def test_right_ascension_grows_to_the_left():
    for shown in (TangentPlane(10, 20), Mollweide(10)):
        (x_west, x_east), (y_west, y_east) = shown.plane(np.array([9.0, 11.0]), np.array([20.0, 20.0]))
        assert x_west > 0 > x_east
        assert y_west == pytest.approx(y_east)


def test_the_middle_does_not_depend_on_zero_hours():
    ra, dec, farthest = middle_of(np.array([359.0, 1.0]), np.array([0.0, 0.0]))
    assert (ra % 360, dec, farthest) == pytest.approx((0, 0, 1), abs=1e-9)
    ra, dec, farthest = middle_of(np.array([0.0, 90.0, 180.0, 270.0]), np.full(4, 80.0))
    assert (dec, farthest) == pytest.approx((90, 10))
    assert middle_of(np.array([0.0, 180.0]), np.zeros(2)) == pytest.approx((0, 90, 90))


def test_only_polygons_in_one_piece_are_shown():
    ra = np.array([[1.0, 359.0, 0.0], [179.0, 181.0, 180.0], [100.0, 10.0, 300.0], [179.0, 178.0, 300.0]])
    dec = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 1.0], [89.0, 89.0, 90.0], [80.0, 80.0, 90.0]])
    assert Mollweide(0).shows(ra, dec).tolist() == [True, False, True, True]
    assert TangentPlane(0, 0).shows(ra, dec).tolist() == [True, False, False, False]
