"""The middle of an image on the sky, beside astropy's own reading of the whole header."""

import numpy as np
import pytest
from astropy.wcs import WCS

from scanner.files.fits_centre import PlainWcs, centre_position, plain_wcs
from tests.cutouts import sky_header


@pytest.mark.parametrize(
    "cards",
    [
        {},
        {"CD1_2": 2e-6, "CD2_1": -3e-6, "CRPIX1": 7854.0, "CRPIX2": -300.5},
        {"CRVAL1": 359.9999, "CRVAL2": -89.0, "RADESYS": "ICRS", "LONPOLE": 180.0},
        {"CD1_1": None, "CD2_2": None, "CDELT1": -3e-5, "CDELT2": 3e-5, "PC1_2": 0.1, "PC2_1": -0.1},
    ],
)
def test_the_middle_is_where_astropy_puts_it(cards):
    header = sky_header()
    for key, value in cards.items():
        if value is None:
            del header[key]
        else:
            header[key] = value
    ra, dec = WCS(header).all_pix2world((300 - 1) / 2, (200 - 1) / 2, 0)
    assert centre_position(header, (200, 300)) == pytest.approx((float(ra), float(dec)), abs=1e-12)


@pytest.mark.parametrize(
    "cards",
    [
        {"CTYPE1": "GLON-TAN"},
        {"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP"},
        {"RADESYS": "FK4"},
        {"EQUINOX": 1950.0},
        {"CRVAL1": "ten"},
        {"CD1_1": 0.0},
        {"CUNIT1": "rad"},
    ],
)
def test_other_headers_give_no_position(cards):
    header = sky_header()
    header.update(cards)
    assert centre_position(header, (200, 300)) is None
    assert centre_position(sky_header()[:2], (200, 300)) is None


def test_a_position_is_where_astropy_puts_it_and_comes_back():
    header = sky_header()
    header["CD1_2"] = 2e-6
    wcs = plain_wcs(header, (200, 300))
    x, y = WCS(header).all_world2pix(150.001, 2.002, 0)
    assert wcs.pixel(150.001, 2.002) == pytest.approx((float(x), float(y)), abs=1e-9)
    assert wcs.sky(*wcs.pixel(150.001, 2.002)) == pytest.approx((150.001, 2.002), abs=1e-9)


@pytest.mark.parametrize("angle_deg", [0.0, 37.0, 90.0, 180.0])
def test_the_turn_between_axes_is_their_angle(angle_deg):
    cos, sin = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    usual = PlainWcs((10.0, 2.0), (50.0, 50.0), ((-2e-5, 0.0), (0.0, 2e-5)), (100, 100))
    turned = PlainWcs((10.0, 2.0), (50.0, 50.0), ((-8e-5 * cos, 8e-5 * sin), (8e-5 * sin, 8e-5 * cos)), (100, 100))
    mirrored = PlainWcs((10.0, 2.0), (50.0, 50.0), ((2e-5, 0.0), (0.0, 2e-5)), (100, 100))
    assert usual.turn_deg(turned) == pytest.approx(angle_deg, abs=1e-9)
    assert turned.turn_deg(usual) == pytest.approx(angle_deg, abs=1e-9)
    assert usual.turn_deg(mirrored) is None
