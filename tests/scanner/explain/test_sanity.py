"""Sanity checks on maps and scores for which the answer is known."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from scanner.explain.sanity import (
    chance,
    deletion,
    grown,
    hits,
    hits_of_middle,
    insertion,
    is_empty,
    randomised,
    rank_correlation,
    relevance_mass,
)
from scanner.networks.log_odds import lens_log_odds
from tests.hand_set_networks import PIXEL_WEIGHTS, summing_network
from tests.scanner.random_networks import random_network


@pytest.fixture
def truth():
    """A ring."""
    y, x = np.mgrid[:40, :40] - 19.5
    return np.repeat((np.abs(np.hypot(x, y) - 10) < 1)[None], 3, 0)


def test_a_peak_within_the_slack_of_the_arc_hits(truth):
    maps = np.zeros((3, 40, 40))
    maps[0, 19, 30] = 1
    maps[1, 19, 34] = 1
    assert hits(maps, truth).tolist() == [True, False, False]
    assert hits(maps, truth, 4).tolist() == [True, True, False]
    assert hits(maps, truth, 2).tolist() == [True, False, False]


def test_chance_is_the_hit_rate_of_random_maps(truth, rng):
    drawn = rng.random((4000, 40, 40))
    many = np.repeat(truth[:1], len(drawn), 0)
    for slack in (0, 2):
        expected = chance(truth, slack)[0]
        assert hits(drawn, many, slack).mean() == pytest.approx(expected, abs=4 * np.sqrt(expected / len(drawn)))


@pytest.mark.parametrize("n_pixels", [24, 25, 100])
@pytest.mark.parametrize("slack", [0, 1, 4])
def test_hits_of_middle_are_those_of_central_peaks(n_pixels, slack, rng):
    truth = rng.random((40, n_pixels, n_pixels)) < 0.02
    maps = rng.random(truth.shape)
    maps[:, n_pixels // 2, n_pixels // 2] = 2
    found = hits_of_middle(truth, slack)
    np.testing.assert_array_equal(found, hits(maps, truth, slack))
    at = slice(n_pixels // 2 - slack, n_pixels // 2 + slack + 1)
    np.testing.assert_array_equal(found, [mask[at, at].any() for mask in truth])


def test_constant_maps_are_empty_and_miss():
    maps = np.zeros((3, 5, 5))
    maps[1] = 7
    maps[2, 0, 0] = -1
    assert is_empty(maps).tolist() == [True, True, False]
    assert hits(maps, np.ones((3, 5, 5), bool)).tolist() == [False, False, True]


def test_a_mask_grows_by_steps_in_all_directions():
    mask = np.zeros((1, 9, 9), bool)
    mask[0, 4, 4] = True
    assert [grown(mask, n).sum() for n in range(4)] == [1, 9, 25, 49]


def test_relevance_mass_is_the_share_on_the_arc(truth):
    maps = np.where(truth, 3.0, 1.0)
    maps[1] = -1
    maps[2] = np.where(truth[2], 1.0, -5.0)
    n_arc = truth[0].sum()
    assert relevance_mass(maps, truth) == pytest.approx([3 * n_arc / (3 * n_arc + 1600 - n_arc), 0, 1])


def test_rank_correlations_are_scipys(rng):
    maps = rng.normal(size=(4, 12, 12)).round(1)
    others = maps + rng.normal(size=maps.shape).round(1)
    expected = [spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(maps, others, strict=True)]
    np.testing.assert_allclose(rank_correlation(maps, others), expected, atol=1e-12)
    assert rank_correlation(maps[:1], np.ones_like(maps[:1])) == [0]


def test_pixels_are_hidden_and_shown_in_order_of_relevance(rng):
    """The score is the sum of the shown pixels, so the curves are cumulative sums."""
    inputs = rng.random((2, 3, 10, 10), dtype=np.float32)
    maps = inputs.sum(axis=1)

    def scores(shown):
        return shown.sum(axis=(1, 2, 3))

    sums = np.sort(maps.reshape(2, -1), axis=1)[:, ::-1].cumsum(axis=1)
    expected = np.concatenate([np.zeros((2, 1)), sums[:, 9::10]], axis=1)
    np.testing.assert_allclose(insertion(scores, inputs, maps, 10), expected, rtol=1e-5)
    np.testing.assert_allclose(deletion(scores, inputs, maps, 10), expected[:, -1:] - expected, rtol=1e-4, atol=1e-4)


def test_insertion_and_deletion_by_hand():
    """Four pixels a step, in the order of their weights: 10, 10, 10, 10, then 7, 7, 6, 6, then 4, 4, 4, 3, then 3, 3, 2, 1."""
    network = summing_network()

    def scores(inputs):
        with torch.no_grad():
            return lens_log_odds(network(torch.from_numpy(inputs)).numpy())

    ones = np.ones((1, 1, 4, 4), np.float32)
    np.testing.assert_allclose(insertion(scores, ones, PIXEL_WEIGHTS[None], 4), [[0, 40, 66, 81, 90]], rtol=1e-6)
    np.testing.assert_allclose(deletion(scores, ones, PIXEL_WEIGHTS[None], 4), [[90, 50, 24, 9, 0]], rtol=1e-6)
    # In the opposite order: 1 + 2 + 3 + 3, then 3 + 4 + 4 + 4, and so on.
    np.testing.assert_allclose(insertion(scores, ones, -PIXEL_WEIGHTS[None], 4), [[0, 9, 24, 50, 90]], rtol=1e-6)


def test_a_randomised_network_is_a_copy_without_learnt_weights():
    network = random_network("compact", 2)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    other = randomised(network, 3)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert not torch.equal(other[1].weight, network[1].weight)
    # Nothing that was learnt is left, scales and statistics of normalisations included.
    for name, tensor in before.items():
        was_learnt = tensor.ndim > 0 and tensor.std() > 0
        assert not (was_learnt and torch.equal(tensor, other.state_dict()[name])), name
    assert torch.equal(other[1].weight, randomised(network, 3)[1].weight)
