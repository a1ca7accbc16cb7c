"""Tests of the maps that are checked, and of their cells."""

import numpy as np
import pytest

from scanner.explain.occlusion import Masks
from scanner.networks.package import draft_network_card
from tests.scanner.ensembles import SPECS
from tests.training.evaluation.scenes import CARD, light_meter
from training.evaluation.map_measures import METHODS
from training.evaluation.relevance import Cells, cells_of, maps_of, middle, on_common_grid


@pytest.mark.parametrize(("masks", "n_pixels"), [(Masks(1, 1), 9), (Masks(4, 4), 12), (Masks(4, 4), 14), (Masks(4, 2), 12)])
def test_cells_cover_what_their_masks_hide(masks, n_pixels, rng):
    truth = rng.random((3, n_pixels, n_pixels)) < 0.05
    starts, side = masks.starts(n_pixels), masks.side_pixels
    cells = Cells(masks, 0)
    expected = [[[of[y : y + side, x : x + side].any() for x in starts] for y in starts] for of in truth]
    np.testing.assert_array_equal(cells.covering(truth), expected)
    maps = rng.random((3, len(starts), len(starts)))
    at_pixels = cells.at_pixels(maps, n_pixels)
    assert at_pixels.shape == truth.shape
    middles = starts + (side - masks.step_pixels) // 2
    np.testing.assert_array_equal(at_pixels[:, middles[:, None], middles], maps)
    np.testing.assert_array_equal(at_pixels[:, -1, -1], maps[:, -1, -1])


def test_slack_is_a_vis_psf_on_every_grid():
    ou_h, ou_66, ou_vis = (draft_network_card(spec, "challenge", {}) for spec in SPECS)
    assert [cells_of("grad_cam", card).slack for card in (CARD, ou_h, ou_66, ou_vis)] == [2, 1, 1, 2]
    assert cells_of("occlusion", CARD) == Cells(Masks(8, 4), 0)


def test_maps_of_all_networks_align_on_the_common_grid():
    """Each map has one pixel, 1.8 arcsec to the right of the middle and 1 arcsec below the middle."""
    for card in (CARD, *(draft_network_card(spec, "challenge", {}) for spec in SPECS)):
        for method in METHODS:
            side, n = (10.0 if card is CARD else 20.0), card.input_pixels
            n_cells = len(cells_of(method, card).masks.starts(n))
            maps = np.zeros((1, n_cells, n_cells))
            place = [int((offset / side + 0.5) * n_cells) for offset in (-1.0, 1.8)]
            maps[0, place[0], place[1]] = 1
            found = on_common_grid(maps, method, card)
            assert found.shape == (1, 20, 20)
            y, x = np.unravel_index(found.argmax(), (20, 20))
            assert (y, x) == (7, 14), (card.name, method)


def test_maps_do_not_depend_on_the_batch_size(rng):
    stamps = rng.random((20, 1, 100, 100), dtype=np.float32)
    whole, one = (maps_of(light_meter(), CARD, stamps[i:], 1) for i in (0, 18))
    np.testing.assert_allclose(whole["guided_grad_cam"][18:], one["guided_grad_cam"], rtol=1e-6)


def test_the_middle_has_equal_width_for_all_networks():
    ou_h, _, ou_vis = (draft_network_card(spec, "challenge", {}) for spec in SPECS)
    for card, n_cells, first, n_kept in ((CARD, 100, 10, 80), (CARD, 25, 2, 21), (ou_h, 66, 20, 26), (ou_vis, 50, 15, 20)):
        maps = np.arange(n_cells**2, dtype=float).reshape(1, n_cells, n_cells)
        np.testing.assert_array_equal(middle(maps, card), maps[:, first : first + n_kept, first : first + n_kept])
