"""Headers with a WCS, five hundred sky positions, and what astropy makes of them in this process."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from scanner.files.wcs_client import sky_positions
from scanner.vocabulary.rejections import RejectCode, Rejection

RA, DEC = np.random.default_rng(0).normal([[150.0], [2.0]], 0.02, (2, 500))
GOOD = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 150.0, "CRVAL2": 2.0, "CD1_1": -3e-5, "CD2_2": 3e-5}
DISTORTED = {
    "CTYPE1": "RA---TAN-SIP",
    "CTYPE2": "DEC--TAN-SIP",
    "A_ORDER": 2,
    "B_ORDER": 2,
    "CRPIX1": 9.0,
    "CRPIX2": 9.0,
    "A_2_0": 1e-6,
    "B_1_1": 2e-6,
}


def head(**cards):
    return fits.Header(GOOD | cards)


def in_this_process(header):
    return np.stack(WCS(header, naxis=2).all_world2pix(RA, DEC, 0, quiet=True), axis=1)


def rejection(header):
    with pytest.raises(Rejection) as caught:
        sky_positions(header, RA, DEC, "m.fits[SCI]")
    assert caught.value.detail.startswith("m.fits[SCI]: its WCS cannot be used: ")
    assert caught.value.code is RejectCode.BAD_WCS
    return caught.value.detail
