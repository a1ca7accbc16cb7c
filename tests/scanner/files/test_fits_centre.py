"""The middle of an image on the sky, beside astropy's own reading of the whole header."""

import numpy as np
import pytest
from astropy.wcs import WCS

from infra.quiet import without_warnings
from scanner.files.fits_centre import PlainWcs, centre_position, plain_wcs
from tests.cutouts import sky_header

OLD_FORM = {"CD1_1": None, "CD2_2": None, "CDELT1": -3e-5, "CDELT2": 3e-5}


def with_cards(cards):
    """Return the header of an image with other cards; None deletes one."""
    header = sky_header()
    for key, value in cards.items():
        if value is None:
            del header[key]
        else:
            header[key] = value
    return header


def middle_by_astropy(header):
    with without_warnings():
        return tuple(float(value) for value in WCS(header).all_pix2world((300 - 1) / 2, (200 - 1) / 2, 0))


@pytest.mark.parametrize(
    "cards",
    [
        {},
        {"CD1_2": 2e-6, "CD2_1": -3e-6, "CRPIX1": 7854.0, "CRPIX2": -300.5},
        {"CRVAL1": 359.9999, "CRVAL2": -89.0, "RADESYS": "ICRS", "LONPOLE": 180.0},
        {**OLD_FORM, "PC1_2": 0.1, "PC2_1": -0.1},
        {**OLD_FORM, "PC1_2": 0.1, "PC2_1": -0.1, "CROTA2": 30.0},
        {**OLD_FORM, "CROTA1": 0.0, "CROTA2": 0.0},
        {"CROTA2": 30.0},
    ],
)
def test_the_middle_is_where_astropy_puts_it(cards):
    header = with_cards(cards)
    assert centre_position(header, (200, 300)) == pytest.approx(middle_by_astropy(header), abs=1e-12)


@pytest.mark.parametrize(
    ("cards", "added"),
    [
        (OLD_FORM, {"CROTA2": 30.0}),
        (OLD_FORM, {"CROTA1": 30.0, "CROTA2": 30.0}),
        ({}, {"PV1_0": 1e-3, "PV1_1": 1.0, "PV2_1": 1.0, "PV1_7": 3.0}),
        ({}, {"PV1_3": 170.0}),
    ],
)
def test_cards_that_move_the_middle_give_no_position(cards, added):
    plain, moved = with_cards(cards), with_cards(cards | added)
    assert middle_by_astropy(moved) != pytest.approx(middle_by_astropy(plain), abs=1e-5)
    assert centre_position(plain, (200, 300)) is not None
    assert centre_position(moved, (200, 300)) is None


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
