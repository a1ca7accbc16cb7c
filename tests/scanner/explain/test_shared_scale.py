"""Maps of networks with other pixels and other strengths share grid, unit and scale."""

import numpy as np
import pytest

from scanner.explain.explanation import NetworkMaps
from scanner.explain.shared_scale import LEAST_CHANGE, drawn_maps, guided_end, occlusion_end


def maps_of(occlusion, guided, name="x", side=20.0, covered=20.0, start=0.0):
    occlusion, guided = np.asarray(occlusion, np.float32), np.asarray(guided, np.float32)
    return NetworkMaps(name, side, np.zeros(len(guided), np.float32), occlusion, covered, guided, guided, start)


def blob(n, n_side_arcsec, y_arcsec, x_arcsec):
    """A map `[1, n, n]` whose only light lies at a place counted from the middle, in one pixel."""
    at = [int(np.floor(n / 2 + place * n / n_side_arcsec)) for place in (y_arcsec, x_arcsec)]
    image = np.zeros((1, n, n), np.float32)
    image[0, at[0], at[1]] = 3
    return image


def test_light_stays_at_its_place_for_all_pixels():
    """NISP networks see 19.8 arcsec in 66 pixels, VIS networks 20 arcsec in 200."""
    place = (3.05, -5.15)
    fine = maps_of(np.zeros((1, 50, 50)), blob(200, 20.0, *place))
    coarse = maps_of(np.zeros((1, 66, 66)), blob(66, 19.8, *place), side=19.8, covered=19.8)
    together, *each = drawn_maps([fine, coarse])
    for drawn in (together, *each):
        n = drawn.guided.shape[-1]
        left, right, low, high = drawn.guided_extent
        middles = left + (np.arange(n) + 0.5) * (right - left) / n
        weights = drawn.guided[0] / drawn.guided[0].sum()
        assert (weights.sum(axis=1) @ middles, weights.sum(axis=0) @ middles) == pytest.approx(place, abs=0.16)
        # Percent in a square arcsec add up to all.
        assert drawn.guided[0].sum() * (right - left) * (high - low) / n**2 == pytest.approx(100)


def test_a_network_with_little_evidence_has_little_weight():
    strong, weak = blob(200, 20.0, 0.05, 0.05), 0.01 * blob(200, 20.0, 5.05, 5.05)
    together, *_ = drawn_maps([maps_of(np.zeros((1, 50, 50)), strong), maps_of(np.zeros((1, 50, 50)), weak)])
    left = together.guided_extent[0]
    cells = [int((place - left) / 0.2) for place in (0.05, 5.05)]
    assert together.guided[0, cells[0], cells[0]] == pytest.approx(100 * together.guided[0, cells[1], cells[1]], rel=1e-4)


def test_the_mean_of_occlusion_maps_is_that_of_changes():
    """The masks of one network leave an edge out: there the mean is unknown."""
    half = np.full((1, 10, 10), -1.0)
    half[0, 5:] = 1.0
    maps = [
        maps_of(half, np.ones((1, 40, 40)), side=10.0, covered=10.0),
        maps_of(np.full((1, 24, 24), -3.0), np.ones((1, 40, 40)), side=10.0, covered=9.6, start=0.2),
    ]
    together, first, second = drawn_maps(maps)
    assert together.name == "these 2 networks"
    assert together.p_lens is None
    assert second.occlusion_extent == pytest.approx((-4.8, 4.8, -4.8, 4.8))
    np.testing.assert_array_equal(first.occlusion, maps[0].occlusion)
    known = together.occlusion[0, 1:-1, 1:-1]
    np.testing.assert_allclose(known[:24], -2)
    np.testing.assert_allclose(known[24:], -1)
    assert np.isnan(together.occlusion[0, [0, -1]]).all()


def test_one_network_has_no_mean():
    (only,) = drawn_maps([maps_of(np.zeros((1, 50, 50)), np.ones((1, 200, 200)))])
    assert only.name == "x"


def test_ends_of_scales_are_round_and_hold_most_maps():
    peaks = np.array([-0.3, 0.5, -2.2, 1.0, -40.0])
    drawn = drawn_maps([maps_of(peaks[:, None, None] * np.ones((5, 2, 2)), np.ones((5, 40, 40)))])
    assert occlusion_end(drawn) == 1.0
    # An even map of 20 arcsec has 1 / 400 of itself in each square arcsec.
    assert guided_end(drawn) == pytest.approx(0.3)


def test_empty_maps_have_scales_too():
    drawn = drawn_maps([maps_of(np.full((1, 2, 2), 1e-7), np.zeros((1, 40, 40)))])
    assert occlusion_end(drawn) == LEAST_CHANGE
    assert guided_end(drawn) == 1
    assert not drawn[0].guided.any()
