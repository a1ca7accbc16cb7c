"""Distances of the strongest evidence from the middle of a stamp, worked out by hand."""

import numpy as np
import pytest

from scanner.explain.evidence import strongest_guided_arcsec, strongest_occlusion_arcsec
from scanner.explain.explanation import NetworkMaps


def maps_of(occlusion, guided, start_arcsec=0.0):
    """Return maps of two objects, the second as given, on stamps of 10 arcsec; the occlusion maps cover 9.6 arcsec."""
    both = [np.stack([np.full_like(values, 9.0), values]) for values in (occlusion, guided)]
    p_lens = np.zeros(2, np.float32)
    return NetworkMaps("x", 10.0, p_lens, both[0], 9.6, np.zeros((2, 1, 1), np.float32), both[1], start_arcsec)


def test_the_strongest_occlusion_is_where_hiding_lowers_most():
    occlusion = np.full((24, 24), 1.0, np.float32)
    occlusion[2, 14], occlusion[20, 20] = -0.5, -0.25
    # Cells are 0.4 arcsec wide; the middle of the stamp is at 5 arcsec.
    expected = np.hypot(2.5 * 0.4 - 5, 14.5 * 0.4 - 5)
    assert strongest_occlusion_arcsec(maps_of(occlusion, occlusion), 1) == pytest.approx(expected)
    # The masks are wider than their step.
    expected = np.hypot(2.5 * 0.4 - 4.8, 14.5 * 0.4 - 4.8)
    assert strongest_occlusion_arcsec(maps_of(occlusion, occlusion, 0.2), 1) == pytest.approx(expected)


def test_the_strongest_guided_pixel_is_measured_on_the_stamp():
    guided = np.zeros((50, 50), np.float32)
    guided[49, 10] = 0.5
    found = strongest_guided_arcsec(maps_of(np.zeros((2, 2), np.float32), guided, 0.2), 1)
    assert found == pytest.approx(np.hypot(49.5 * 0.2 - 5, 10.5 * 0.2 - 5))


def test_maps_without_support_have_no_strongest_evidence():
    for level in (0.0, 1.0):
        maps = maps_of(np.full((4, 4), level, np.float32), np.full((4, 4), -level, np.float32))
        assert strongest_occlusion_arcsec(maps, 1) is None
        assert strongest_guided_arcsec(maps, 1) is None
