"""Locations and their errors against many draws of known populations."""

import numpy as np
import pytest

from scanner.quality.drift import Drift, drift, median, quantile


def test_errors_are_those_of_many_draws(rng):
    draws = rng.normal(5, 2, (2000, 300))
    medians = [median(draw) for draw in draws]
    assert np.std([found.value for found in medians]) == pytest.approx(np.mean([found.error for found in medians]), rel=0.1)
    tenths = [quantile(draw, 0.1) for draw in draws]
    assert np.mean([found.value for found in tenths]) == pytest.approx(5 - 2 * 1.2816, abs=0.03)
    assert np.std([found.value for found in tenths]) == pytest.approx(np.mean([found.error for found in tenths]), rel=0.15)


def test_few_values_have_no_location():
    values = np.where(np.arange(40) < 21, np.nan, 1.0)
    assert median(values) is None
    assert quantile(values, 0.1) is None
    assert median(np.ones(20)) == (1.0, 0.0, 20)
    assert drift(None, median(np.ones(20))) is None


def test_a_drift_counts_beyond_four_errors():
    assert Drift(0.5, 0.1).exceeds(0.05)
    assert Drift(-0.5, 0.1).exceeds(0.05)
    assert not Drift(0.5, 0.12).exceeds(0.05)
