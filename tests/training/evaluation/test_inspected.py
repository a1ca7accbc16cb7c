"""Objects to inspect per lens, counted by hand."""

import numpy as np
import pytest

from training.evaluation.inspected import inspected_per_lens, threshold_of_share
from training.evaluation.metrics import binomial_interval

LENSES = np.array([0.9, 0.8, 0.7, 0.6, 0.6, 0.5, 0.3, 0.2, 0.1, 0.0])
OTHERS = np.array([0.95, 0.7, 0.6, 0.6, *[0.01] * 996])


def test_objects_to_inspect_per_lens_by_counting():
    """Five of ten lenses score at least 0.6, as four of a thousand others do: per lens 1 + 99 x 0.004 / 0.5 objects."""
    found = inspected_per_lens(LENSES, OTHERS, 1000, 0.01, 0.5)
    assert found.value == pytest.approx(1 + 99 * 0.004 / 0.5)
    (recall, rate) = (binomial_interval(5, 10), binomial_interval(4, 1000))
    assert (found.low, found.high) == pytest.approx((1 + 99 * rate[0] / recall[1], 1 + 99 * rate[1] / recall[0]))
    # Eight of ten are the fewest that are three quarters.
    assert inspected_per_lens(LENSES, OTHERS, 1000, 0.01, 0.75).value == pytest.approx(1 + 99 * 0.004 / 0.8)
    # A fifth lens scores as high as the fourth.
    assert inspected_per_lens(LENSES, OTHERS, 1000, 0.01, 0.4) == found


def test_the_highest_non_lenses_are_enough():
    whole, highest = (inspected_per_lens(LENSES, others, 1000, 0.01, 0.5) for others in (OTHERS, OTHERS[:5]))
    assert whole == highest


def test_the_threshold_is_a_score_that_lenses_reach():
    assert [threshold_of_share(LENSES, share) for share in (0.5, 0.75, 0.76, 0.05, 1.0)] == [0.6, 0.2, 0.2, 0.9, 0.0]
