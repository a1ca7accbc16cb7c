import numpy as np
import pytest
from scipy.stats import norm, spearmanr

from training.evaluation.score_correlation import correlation_metrics, correlations_on_card, score_correlations


def correlated(rng, n, rho):
    return rng.multivariate_normal([0, 0], [[1, rho], [rho, 1]], n).T


def test_correlations_are_those_of_scipy(rng):
    a, b = correlated(rng, 400, 0.6)
    is_lens = rng.random(400) < 0.4
    b[is_lens] = -b[is_lens]
    (found,) = score_correlations({"a": norm.cdf(a).round(2), "b": np.exp(b)}, is_lens)
    assert found.networks == ("a", "b")
    for rows, measured, n in ((is_lens, found.lenses, found.n_lenses), (~is_lens, found.nonlenses, found.n_nonlenses)):
        expected = spearmanr(norm.cdf(a).round(2)[rows], b[rows]).statistic
        assert measured.value == pytest.approx(expected)
        assert measured.low < expected < measured.high
        # In Fisher's z, with the variance of Bonett & Wright (2000).
        half = 1.959964 * np.sqrt((1 + expected**2 / 2) / (n - 3))
        limits = np.tanh([np.arctanh(expected) - half, np.arctanh(expected) + half])
        assert (measured.low, measured.high) == pytest.approx(tuple(limits), abs=1e-5)
        assert n == rows.sum()
    assert found.lenses.value < 0 < found.nonlenses.value


def test_intervals_hold_the_true_correlation(rng):
    """Spearman's rho of a binormal pair is 6 / pi arcsin(rho / 2) of its correlation."""
    true, missed = 6 / np.pi * np.arcsin(0.7 / 2), 0
    for _ in range(200):
        a, b = correlated(rng, 100, 0.7)
        (found,) = score_correlations({"a": a, "b": b}, np.zeros(100, bool))
        missed += not found.nonlenses.low <= true <= found.nonlenses.high
    assert missed <= 200 * 0.05 + 3.1 * np.sqrt(200 * 0.05)


def test_rows_that_a_network_did_not_see_are_left_out(rng):
    a, b = correlated(rng, 100, 0.5)
    whole = score_correlations({"a": a[:60], "b": b[:60]}, np.arange(60) < 30)
    b[60:] = np.nan
    assert score_correlations({"a": a, "b": b}, np.arange(100) < 30) == whole


def test_too_few_or_constant_scores_have_no_correlation(rng):
    a, b = correlated(rng, 60, 0.5)
    (found,) = score_correlations({"a": a, "b": np.where(np.arange(60) < 19, b, 0.25)}, np.arange(60) < 19)
    assert (found.lenses, found.nonlenses) == (None, None)
    assert (found.n_lenses, found.n_nonlenses) == (19, 41)
    assert correlation_metrics([found]) == {}
    (enough,) = score_correlations({"a": a, "b": b}, np.arange(60) < 20)
    assert enough.lenses is not None


def test_equal_scores_correlate_wholly(rng):
    a, _ = correlated(rng, 50, 0.5)
    (found,) = score_correlations({"a": a, "b": a}, np.zeros(50, bool))
    assert found.nonlenses.value == pytest.approx(1)
    assert found.nonlenses.low <= 1 <= found.nonlenses.high + 1e-12


def test_pairs_come_back_from_the_card(rng):
    a, b = correlated(rng, 60, 0.5)
    found = score_correlations({"x-1": a, "y": b, "z": a}, np.arange(60) < 15)
    assert [of.networks for of in found] == [("x-1", "y"), ("x-1", "z"), ("y", "z")]
    metrics = correlation_metrics(found)
    assert metrics["spearman_nonlenses_x-1_y"] == found[0].nonlenses.value
    rows = correlations_on_card(metrics, ["x-1", "y", "z"])
    assert rows[0] == ("x-1 and y", "-", f"{found[0].nonlenses.value:.2f}")
    assert len(rows) == 3
    assert correlations_on_card({}, ["x-1", "y"]) == []
