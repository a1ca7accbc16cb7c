"""Probabilities and areas under curves of a network whose answers are worked out on paper."""

import math

import numpy as np
import pytest

from scanner.explain.sanity import deletion, insertion
from scanner.networks.architectures import NetworkSpec
from scanner.networks.package import draft_network_card
from scanner.preprocess.channels import channels
from tests.hand_set_networks import IMAGE, PIXEL_WEIGHTS, summing_network
from training.evaluation.map_curves import areas, lens_scores

CARD = draft_network_card(NetworkSpec("sums", "ou66", channels("min_max", "H")), "challenge", {})


def test_scores_are_lens_probabilities_by_hand():
    """The log-odds of the image are 756, of half the image 378, each times the weight."""
    scores = lens_scores(summing_network(1 / 378), CARD, "torch")
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
