"""The WCS worker follows astropy and rejects headers with a wrong, missing or singular WCS."""

import io
import subprocess
import sys

import numpy as np
import pytest

from scanner.files.wcs_client import sky_positions
from scanner.files.wcs_messages import READY, read_message, write_message
from scanner.files.wcs_worker import WcsError, positions
from tests.scanner.files.wcs_headers import DEC, DISTORTED, RA, head, in_this_process, rejection

pytestmark = pytest.mark.fault(27)


def test_swapped_axes_are_followed():
    swapped = head(CTYPE1="DEC--TAN", CTYPE2="RA---TAN", CRVAL1=2.0, CRVAL2=150.0, CD1_1=3e-5, CD2_2=-3e-5)
    np.testing.assert_allclose(sky_positions(swapped, RA, DEC, "x")[:, ::-1], in_this_process(head()), atol=1e-6)


NASTY = {
    "no celestial axes": ({"CTYPE1": "LINEAR", "CTYPE2": "LINEAR"}, "no celestial WCS"),
    "one axis": ({"CTYPE2": "FREQ"}, ""),
    "galactic": ({"CTYPE1": "GLON-TAN", "CTYPE2": "GLAT-TAN"}, "of RA and DEC, got GLON and GLAT"),
    "equinox": ({"EQUINOX": 1950.0}, "FK5 of 2000"),
    "another frame": ({"RADESYS": "FK4"}, "FK5 of 2000"),
    "zero matrix": ({"CD1_1": 0.0, "CD2_2": 0.0}, "singular"),
    "rows alike": ({"CD1_1": 1e-5, "CD1_2": 1e-5, "CD2_1": 1e-5, "CD2_2": 1e-5}, "singular"),
    "a billion axes": ({"WCSAXES": 10**9}, ""),
    "a million coefficients": (DISTORTED | {"A_ORDER": 10**6, "B_ORDER": 10**6}, ""),
    "a table elsewhere": ({"CTYPE1": "RA---TAB", "CTYPE2": "DEC--TAB", "PS1_0": "T", "PS2_0": "T"}, ""),
    "a lookup table": ({"CPDIS1": "LOOKUP"}, ""),
    "no such projection": ({"CTYPE1": "RA---XXX", "CTYPE2": "DEC--XXX"}, ""),
    "a text for a number": ({"CRVAL1": "here"}, "CRVAL1 must be a number, got 'here'"),
}


@pytest.mark.parametrize("kind", NASTY)
def test_headers_with_an_invalid_wcs_are_rejected(kind):
    cards, says = NASTY[kind]
    assert says in rejection(head(**cards))
    assert len(sky_positions(head(), RA, DEC, "x")) == len(RA)


def cards_of(header):
    return header.tostring().encode("ascii")


def test_no_positions_are_asked_of_a_valid_header():
    assert positions(cards_of(head()), RA[:0], DEC[:0]).shape == (0, 2)
    with pytest.raises(WcsError, match="must be ICRS or FK5 of 2000, got FK4"):
        positions(cards_of(head(RADESYS="FK4")), RA[:0], DEC[:0])


def test_sources_behind_the_camera_have_no_position():
    xy = positions(cards_of(head()), np.array([150.0, 330.0]), np.array([2.0, -2.0]))
    assert np.isfinite(xy).all(axis=1).tolist() == [True, False]


def test_requests_are_answered_in_order_until_the_input_ends():
    requests = io.BytesIO()
    for header in (head(), head(CTYPE1="LINEAR", CTYPE2="LINEAR"), head(CRPIX1=5.0)):
        write_message(requests, cards_of(header), RA.tobytes(), DEC.tobytes())
    command = [sys.executable, "-m", "scanner.files.wcs_worker"]
    done = subprocess.run(command, input=requests.getvalue(), capture_output=True, check=True)
    answers = io.BytesIO(done.stdout)
    assert read_message(answers, 1, 10) == [READY]
    assert read_message(answers, 2, 10**6) == [b"", in_this_process(head()).tobytes()]
    assert read_message(answers, 2, 10**6) == [b"the header has no celestial WCS", b""]
    assert read_message(answers, 2, 10**6) == [b"", in_this_process(head(CRPIX1=5.0)).tobytes()]
    assert answers.read() == b""
