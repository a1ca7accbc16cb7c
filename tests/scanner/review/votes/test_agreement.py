"""Krippendorff's alpha, against published examples and pairs of values counted one by one."""

from itertools import permutations

import numpy as np
import pytest

from scanner.review.votes.agreement import agreement, alpha

# Krippendorff (2011), reliability data C: four observers, twelve units, missing values.
OBSERVERS = """
1 2 3 3 2 1 4 1 2 . . .
1 2 3 3 2 2 4 1 2 5 . 3
. 3 3 3 2 3 4 2 2 5 1 .
1 2 3 3 2 4 4 1 2 5 1 .
"""
# The same paper, reliability data A: two observers, ten binary values.
BINARY = """
0 1 0 0 0 0 0 0 1 0
1 1 1 0 0 1 0 0 0 0
"""
# The same paper, reliability data B: two observers, twelve units of five categories.
CATEGORIES = """
1 1 2 2 4 3 3 3 5 4 4 1
1 2 2 2 2 3 3 3 5 4 4 4
"""


def units(text, first=1):
    """Return values `[unit, observer]` from 0 on, of lines for observers."""
    return np.array([[-1 if v == "." else int(v) - first for v in line.split()] for line in text.split("\n") if line]).T


def pair_by_pair(ratings, metric):
    """Return alpha from the mean difference of all pairs in a unit and of all pairs of pairable values."""
    held = [[v for v in unit if v >= 0] for unit in ratings.tolist()]
    held = [unit for unit in held if len(unit) > 1]
    values = [v for unit in held for v in unit]
    n_of = {v: values.count(v) for v in values}

    def difference(a, b):
        if metric == "nominal":
            return float(a != b)
        low, high = sorted((a, b))
        return (sum(n for v, n in n_of.items() if low <= v <= high) - (n_of[a] + n_of[b]) / 2) ** 2

    observed = sum(difference(a, b) / (len(unit) - 1) for unit in held for a, b in permutations(unit, 2)) / len(values)
    expected = sum(difference(a, b) for a, b in permutations(values, 2)) / (len(values) * (len(values) - 1))
    return 1 - observed / expected


@pytest.mark.parametrize(
    ("text", "first", "metric", "published"),
    [
        (BINARY, 0, "nominal", 0.095),
        (CATEGORIES, 1, "nominal", 0.692),
        (OBSERVERS, 1, "nominal", 0.743),
        (OBSERVERS, 1, "ordinal", 0.815),
    ],
)
def test_published_examples(text, first, metric, published):
    ratings = units(text, first)
    assert pair_by_pair(ratings, metric) == pytest.approx(published, abs=5e-4)
    assert alpha(ratings, metric, 5) == pytest.approx(pair_by_pair(ratings, metric), abs=1e-12)


@pytest.mark.parametrize("metric", ["nominal", "ordinal"])
def test_random_values_are_counted_pair_by_pair(rng, metric):
    for _ in range(20):
        ratings = rng.integers(-1, 4, (15, 4))
        assert alpha(ratings, metric, 4) == pytest.approx(pair_by_pair(ratings, metric), abs=1e-12)


@pytest.mark.parametrize("metric", ["nominal", "ordinal"])
def test_limits_of_alpha(rng, metric):
    truth = rng.integers(0, 4, (500, 1))
    assert alpha(np.repeat(truth, 5, 1), metric, 4) == 1
    assert abs(alpha(rng.integers(0, 4, (3000, 4)), metric, 4)) < 0.05
    assert alpha(np.stack([truth[:, 0], 3 - truth[:, 0]], 1), "ordinal", 4) < -0.5
    # The order of ranks may be turned round.
    some = np.where(rng.random((500, 5)) < 0.5, truth, rng.integers(0, 4, (500, 5)))
    assert alpha(some, metric, 4) == pytest.approx(alpha(3 - some, metric, 4), abs=1e-12)


@pytest.mark.parametrize(
    "ratings", [np.zeros((5, 3), int), np.full((5, 3), -1), np.array([[0, -1], [-1, 2]]), np.empty((0, 0))]
)
def test_alpha_without_differences_or_pairs_is_undefined(ratings, rng):
    found = agreement(ratings.astype(np.int64), "nominal", 4, rng, 10)
    assert np.isnan([found.alpha, found.low, found.high]).all()
    assert found.n_units == (5 if ratings.size == 15 and ratings.max() == 0 else 0)


def test_intervals_cover_alpha_as_often_as_stated(rng):
    """The alpha of many units stands for that of the population."""

    def drawn(n_units):
        truth = rng.integers(0, 4, (n_units, 1))
        given = np.where(rng.random((n_units, 5)) < 0.6, truth, rng.integers(0, 4, (n_units, 5)))
        return np.where(rng.random((n_units, 5)) < 0.2, -1, given)

    true = alpha(drawn(200_000), "ordinal", 4)
    found = [agreement(drawn(150), "ordinal", 4, rng, 200) for _ in range(100)]
    assert 0.87 <= np.mean([one.low <= true <= one.high for one in found]) <= 0.99
    assert all(one.low < one.alpha < one.high for one in found)
    assert np.mean([one.alpha for one in found]) == pytest.approx(true, abs=0.01)
