"""Log-odds of a lens, worked out by hand and compared with softmax."""

import math

import numpy as np
import pytest
import torch

from scanner.networks.log_odds import lens_log_odds, lens_probability, log_odds, logit_margins, restated
from scanner.networks.log_odds_layer import LensLogOdds

LOGITS = np.array([[1.0, 3.0, 0.5, -2.0], [0.0, 0.0, 0.0, 0.0]], np.float32)
LENS, NONLENS = math.exp(3) + math.exp(0.5) + math.exp(-2), math.exp(1)
"""Terms of the softmax of the first row; in the second row three of four equal classes are lenses."""


def test_margins_and_probabilities_of_one_network_by_hand():
    margins = logit_margins(LOGITS)
    assert (margins.tolist(), margins.dtype) == ([[2, -0.5, -3], [0, 0, 0]], np.float64)
    assert lens_probability(margins) == pytest.approx([LENS / (LENS + NONLENS), 0.75], rel=1e-12)


def test_margins_are_subtracted_in_the_precision_of_logits():
    """In float32 the spacing of numbers above 2**24 is 2."""
    assert logit_margins(np.array([[-1.0, 2.0**24]], np.float32)).tolist() == [[2.0**24]]


def test_log_odds_of_logits_by_hand():
    expected = [math.log(LENS / NONLENS), math.log(3)]
    assert lens_log_odds(LOGITS) == pytest.approx(expected, rel=1e-12)
    assert lens_log_odds(LOGITS[None, :, None]).shape == (1, 2, 1)
    assert LensLogOdds()(torch.from_numpy(LOGITS)).numpy() == pytest.approx(expected, rel=1e-6)


def test_log_odds_of_good_candidates_do_not_saturate():
    """Log-odds still differ where the probability is 1 in float32."""
    logits = np.array([[0.0, 40.0, 1.0, 1.0], [0.0, 40.001, 1.0, 1.0]], np.float32)
    first, second = lens_log_odds(logits)
    assert first == pytest.approx(40.0)
    assert second - first == pytest.approx(0.001, rel=0.01)


def test_log_odds_as_a_layer_equal_those_of_softmax(rng):
    logits = torch.from_numpy(rng.normal(size=(5, 4)))
    p = torch.softmax(logits, 1)
    np.testing.assert_allclose(LensLogOdds()(logits), torch.log((1 - p[:, 0]) / p[:, 0]), atol=1e-12)


def test_log_odds_of_known_probabilities():
    assert log_odds([0.5, 0.75, 0.1]) == pytest.approx([0, np.log(3), -np.log(9)])
    # The limit at one is the resolution of float32; the limit at zero is much finer.
    assert log_odds([0, 1e-40, 1]) == pytest.approx([-np.log(1e30), -np.log(1e30), np.log(2**24 - 1)])


def test_restating_is_bayes_rule():
    """200 of 1000 objects are lenses; if only one lens in fifty is kept, p follows the fewer remaining lenses."""
    p = np.array([0.0, 0.2, 0.5, 1.0])
    kept, others = p * 200 / 50 / 200, (1 - p)
    prevalence = 200 / 50 / (200 / 50 + 800)
    assert restated(p, 0.2, prevalence) == pytest.approx(kept * 200 / (kept * 200 + others * 200))
