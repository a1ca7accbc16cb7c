"""Lines of maps: each point has the RA or Dec that its label says, by astropy's projection."""

import numpy as np
import pytest
from astropy.wcs import WCS

from scanner.review.report.graticule import Window, lines_of_plane, lines_of_sky
from scanner.review.report.projection import Mollweide, TangentPlane

FIELDS = [
    ((52.9, -28.1), 0.5),
    ((0.05, 0.0), 2.0),
    ((270.0, 66.0), 8.0),
    ((123.4, -70.0), 0.01),
    ((10.0, 88.0), 6.0),
    ((0.0, -90.0), 1.0),
]


def value_of(text):
    return float(text.removesuffix("\u00b0").replace("\u2212", "-"))


def wcs_of(ra, dec):
    found = WCS(naxis=2)
    found.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    found.wcs.crval, found.wcs.cdelt, found.wcs.crpix = [ra, dec], [-1, 1], [1, 1]
    return found


@pytest.mark.parametrize(("centre", "side"), FIELDS)
def test_lines_lie_where_their_labels_say(centre, side):
    window = Window(side / 2, -side / 2, -side / 2, side / 2)
    lines = lines_of_plane(TangentPlane(*centre), window, 5)
    for is_ra in (True, False):
        own = [line for line in lines if line.is_ra is is_ra]
        assert 1 <= len(own) <= 9
        assert len({line.text for line in own}) == len(own)
    for line in lines:
        seen = np.flatnonzero(window.holds(line.x, line.y))
        ra, dec = wcs_of(*centre).all_pix2world(line.x[seen], line.y[seen], 0)
        if line.is_ra:
            off_pole = np.abs(dec) < 89.999
            away = np.mod(ra[off_pole] - value_of(line.text) + 180, 360) - 180
            assert np.abs(away * np.cos(np.radians(dec[off_pole]))).max(initial=0) < 1e-3 * side
        else:
            assert np.abs(dec - value_of(line.text)).max(initial=0) < 1e-6 * max(side, 1)


@pytest.mark.parametrize(("centre", "side"), FIELDS)
def test_labels_lie_on_their_lines_and_edges(centre, side):
    window = Window(side / 2, -side / 2, -side / 2, side / 2)
    labelled = [line for line in lines_of_plane(TangentPlane(*centre), window, 5) if np.isfinite(line.label[0])]
    assert len(labelled) >= 4
    for line in labelled:
        ra, dec = wcs_of(*centre).all_pix2world(*line.label, 0)
        found = float(ra if line.is_ra else dec)
        # Between the points of a line, the label lies on their chord.
        assert abs((found - value_of(line.text) + 180) % 360 - 180) < 0.02 * side / max(np.cos(np.radians(float(dec))), 0.02)
        is_at_edge = line.label[1] == window.south if line.is_ra else line.label[0] == window.east
        assert is_at_edge or abs(centre[1]) > 80


def test_a_small_field_has_few_round_lines():
    lines = lines_of_plane(TangentPlane(52.9, -28.1), Window(0.25, -0.25, -0.25, 0.25), 5)
    assert {value_of(line.text) for line in lines if not line.is_ra} == {-28.3, -28.2, -28.1, -28.0, -27.9}
    assert {value_of(line.text) for line in lines if line.is_ra} == {52.8, 53.0}


def test_the_sky_has_lines_of_both_kinds():
    lines = lines_of_sky(Mollweide(60.0))
    assert [line.text for line in lines if line.is_ra] == [f"{ra}\u00b0" for ra in range(0, 360, 60)]
    assert [value_of(line.text) for line in lines if not line.is_ra] == [-60, -30, 0, 30, 60]
    by_text = {line.text: line for line in lines if line.is_ra}
    assert np.abs(by_text["60\u00b0"].x).max() < 1e-9
    # The line at the rim has no label; that of 0 degrees lies to the right of the middle, that of 120 to the left.
    assert np.isnan(by_text["240\u00b0"].label[0])
    assert by_text["0\u00b0"].label[0] > 0 > by_text["120\u00b0"].label[0]
