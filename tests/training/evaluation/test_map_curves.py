"""Probabilities and areas under curves of a network whose answers are worked out on paper."""

import math

import numpy as np
import pytest
from scipy.integrate import trapezoid

from scanner.explain.occlusion import Masks
from scanner.explain.sanity import deletion, insertion
from scanner.networks.architectures import NetworkSpec
from scanner.networks.package import draft_network_card
from scanner.preprocess.channel import channels
from tests.hand_set_networks import IMAGE, PIXEL_WEIGHTS, summing_network
from tests.training.evaluation.scenes import scene
from training.evaluation.map_curves import Curves, areas, lens_probability_function, untied
from training.evaluation.relevance import Cells

CARD = draft_network_card(NetworkSpec("sums", "ou66", channels("min_max", "H")), "challenge", {})


def test_scores_are_lens_probabilities_by_hand():
    """The log-odds of the image are 756, of half the image 378, each times the weight."""
    scores = lens_probability_function(summing_network(1 / 378), CARD, "torch")
    assert scores(np.concatenate([IMAGE, IMAGE / 2])) == pytest.approx([1 / (1 + math.exp(-2)), 1 / (1 + math.exp(-1))])


def test_areas_under_insertion_and_deletion_by_hand():
    """The curves are 0, 40, 66, 81, 90 and 90, 50, 24, 9, 0, as the pixels' weights add up, four a step.

    The means of neighbours are 20, 53, 73.5, 85.5 and 70, 37, 16.5, 4.5; the means of these are the areas.
    """
    ones = np.ones((1, 1, 4, 4), np.float32)

    def scores(inputs):
        return (inputs[:, 0] * PIXEL_WEIGHTS).sum(axis=(1, 2))

    assert areas(insertion(scores, ones, PIXEL_WEIGHTS[None], 4)) == pytest.approx([58])
    assert areas(deletion(scores, ones, PIXEL_WEIGHTS[None], 4)) == pytest.approx([32])


def test_a_true_map_uncovers_the_lens_before_chance(rng):
    truth = scene(4)[1]
    inputs = truth[:, None].astype(np.float32)

    def scores(shown):
        return shown.sum(axis=(1, 2, 3)) / truth.sum(axis=(1, 2))

    figures = Curves(scores, inputs, 20, rng).figures(truth.astype(float), Cells(Masks(1, 1), 0))
    # Fewer than a twentieth of the pixels are arc: the first step shows the whole arc.
    assert figures["insertion_auc"] == pytest.approx(1 - 0.5 / 20)
    assert figures["deletion_auc"] == pytest.approx(0.5 / 20)
    assert figures["insertion_auc_random"] == pytest.approx(0.5, abs=0.05)
    assert figures["deletion_auc_random"] == pytest.approx(0.5, abs=0.05)


def test_areas_equal_those_of_scipy(rng):
    curves = rng.random((5, 21))
    np.testing.assert_allclose(areas(curves), trapezoid(curves, dx=1 / 20, axis=1))


def test_equal_pixels_get_a_random_order(rng):
    maps = np.zeros((2, 10, 10))
    maps[:, 4:6] = rng.random((2, 2, 10)) + 1
    places = untied(maps, rng)
    assert all(sorted(some.ravel()) == list(range(100)) for some in places)
    np.testing.assert_array_equal(np.argsort(places[:, 4:6].reshape(2, -1)), np.argsort(maps[:, 4:6].reshape(2, -1)))
    assert places[:, 4:6].min() == 80
    assert 20 < places[0, :4].mean() < 60
