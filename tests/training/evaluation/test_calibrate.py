import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from tests.training.evaluation.known_margins import drawn
from training.evaluation.calibrate import (
    CURVE_KNOTS,
    CURVE_PRIOR,
    can_stack,
    expected_calibration_error,
    fit_lens_curve,
    fit_stack,
    with_lens_curve,
)


def test_a_stack_recovers_the_posterior_of_a_known_model():
    margins, kinds, _ = drawn(20000)
    fresh, fresh_kinds, posterior = drawn(2000, seed=1)
    p = fit_stack(margins, kinds).probabilities(fresh)
    assert np.abs(p - posterior).mean() < 0.01
    assert expected_calibration_error(1 - p[:, 0], fresh_kinds > 0) < 0.03


def test_a_stack_equals_scikit_learn_on_scaled_margins():
    margins, kinds, _ = drawn(300)
    card = fit_stack(margins, kinds)
    x = np.concatenate([margins["a"], margins["b"]], axis=1)
    scaled = (x - x.mean(axis=0)) / x.std(axis=0)
    expected = LogisticRegression(max_iter=2000).fit(scaled, kinds).predict_proba(scaled)
    assert np.abs(card.probabilities(margins) - expected).max() < 1e-6
    assert card.training_fractions == pytest.approx(np.bincount(kinds) / 300)


def test_a_constant_margin_does_not_change_the_stack():
    margins, kinds, _ = drawn(300)
    with_dead = fit_stack({**margins, "dead": np.full((300, 1), 2.5)}, kinds)
    expected = fit_stack(margins, kinds).probabilities(margins)
    assert with_dead.probabilities({**margins, "dead": np.full((300, 1), 2.5)}) == pytest.approx(expected, abs=1e-6)


def test_a_margin_beyond_twenty_counts_as_twenty():
    margins, kinds, _ = drawn(300)
    sign = np.where(kinds > 0, 1.0, -1.0)[:, None]
    clipped, huge = (fit_stack({**margins, "sure": size * sign}, kinds) for size in (20, 1e30))
    assert huge == clipped

    def p_lens(sure):
        return 1 - huge.probabilities({"a": np.zeros((1, 1)), "b": np.zeros((1, 1)), "sure": np.array([[sure]])})[0, 0]

    assert p_lens(1e30) == p_lens(20.0) > p_lens(19.0) > 0.9
    assert p_lens(-1e30) == p_lens(-20.0) < p_lens(-19.0) < 0.1


def bent(n, seed):
    """Draw margins whose log-odds of a lens bend at 0: with slope 1 below, and half of that above; kinds of lens are alike."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 4, n)
    p = 1 / (1 + np.exp(-np.where(x > 0, x / 2, x)))
    kinds = np.where(rng.random(n) < p, rng.integers(1, 4, n), 0)
    return {"a": np.repeat(x[:, None], 3, axis=1)}, kinds, p


def test_a_lens_curve_corrects_what_a_straight_line_cannot():
    margins, kinds, _ = bent(40_000, 0)
    fresh, _, p = bent(40_000, 1)
    straight = fit_stack(margins, kinds)
    curved = with_lens_curve(straight, margins, kinds)
    errors = [np.abs(1 - stack.probabilities(fresh)[:, 0] - p) for stack in (straight, curved)]
    assert errors[0].max() > 3 * errors[1].max()
    assert errors[1].max() < 0.035
    assert curved.lens_curve.at == CURVE_KNOTS
    found = 1 - curved.probabilities({"a": np.repeat(np.linspace(-15, 15, 500)[:, None], 3, axis=1)})[:, 0]
    assert np.all(np.diff(found) > 0)


def test_lenses_without_non_lenses_hardly_steepen_a_curve():
    """Beyond the last knot there are lenses alone: they favour a steep slope, and prove none."""
    rng = np.random.default_rng(3)
    below = rng.normal(0, 2, 3000)
    below = below[below < CURVE_KNOTS[-1]]
    log_odds = np.concatenate([below, rng.uniform(4, 7, 300)])
    is_lens = np.concatenate([rng.random(len(below)) < expit(below), np.full(300, fill_value=True)])
    assert fit_lens_curve(log_odds, is_lens).slopes[1] == pytest.approx(1, abs=0.2)


def test_a_curve_does_not_depend_on_the_assumed_prevalence():
    margins, kinds, _ = bent(2000, 4)
    straight = fit_stack(margins, kinds)
    plain, rare = (with_lens_curve(of, margins, kinds) for of in (straight, straight.assuming(0.001, 0.02)))
    assert rare.lens_curve == plain.lens_curve
    assert rare == plain.assuming(0.001, 0.02)


def test_a_lens_curve_has_the_slopes_of_the_likelihood():
    """By brute force: no other slope or height nearby has a larger posterior."""
    margins, kinds, _ = bent(500, 2)
    straight = fit_stack(margins, kinds)
    best = with_lens_curve(straight, margins, kinds).lens_curve
    inner = np.diff(best.becomes) / np.diff(best.at)
    x = np.log(1 / straight.probabilities(margins)[:, 0] - 1)

    def log_posterior(first, slopes):
        becomes = first + np.concatenate([[0], np.cumsum(slopes[1:3] * np.diff(CURVE_KNOTS))])
        z = np.interp(x, CURVE_KNOTS, becomes)
        z += slopes[0] * np.minimum(x - CURVE_KNOTS[0], 0) + slopes[3] * np.maximum(x - CURVE_KNOTS[-1], 0)
        return np.sum(np.where(kinds > 0, z, 0) - np.log1p(np.exp(z))) - CURVE_PRIOR * np.sum(np.log(slopes) ** 2) / 2

    slopes = np.array([best.slopes[0], *inner, best.slopes[1]])
    highest = log_posterior(best.becomes[0], slopes)
    for change in (0.97, 1.03):
        assert log_posterior(best.becomes[0] + change - 1, slopes) < highest
        for i in range(4):
            assert log_posterior(best.becomes[0], slopes * np.where(np.arange(4) == i, change, 1)) < highest


def test_five_objects_of_a_kind_are_the_minimum():
    margins, _, _ = drawn(20)
    kinds = np.arange(20) % 4
    assert can_stack(kinds)
    assert fit_stack(margins, kinds).training_fractions == (0.25,) * 4
    kinds[3] = 0
    assert not can_stack(kinds)
    with pytest.raises(ValueError, match=r"at least 5 .*'nonlens': 6, 'single': 5, 'compound_arc': 5, 'double_ring': 4"):
        fit_stack(margins, kinds)


def test_calibration_error_by_hand():
    p = np.array([0.05, 0.05, 0.95, 0.85])
    is_lens = np.array([False, True, True, False])
    # Bins: two objects at 0.05, one of them a lens; a lens at 0.95; a non-lens at 0.85.
    assert expected_calibration_error(p, is_lens) == pytest.approx((2 * 0.45 + 0.05 + 0.85) / 4)


def test_a_bin_holds_what_lies_between_its_edges():
    """Both lie in the bin from 0.2 to 0.3, where half of the objects are lenses and the mean p is 0.25."""
    assert expected_calibration_error(np.array([0.21, 0.29]), np.array([False, True])) == pytest.approx(0.5 - 0.25)


def test_the_calibration_error_of_zero_is_the_prevalence():
    is_lens = np.arange(100) < 30
    assert expected_calibration_error(np.zeros(100), is_lens, prevalence=5e-4) == pytest.approx(5e-4)


def test_calibration_error_weights_objects_to_the_prevalence():
    """One bin holds both lenses and half of the non-lenses, the other bin the rest of the non-lenses."""
    is_lens = np.array([True] * 2 + [False] * 6)
    p = np.array([0.31, 0.31] + [0.31] * 3 + [0.0] * 3)
    # Weights: 0.1 / 2 for each lens, 0.9 / 6 for each non-lens.
    expected = abs(2 * 0.05 * (1 - 0.31) - 3 * 0.15 * 0.31) + 0
    assert expected_calibration_error(p, is_lens, prevalence=0.1) == pytest.approx(expected)


def test_certainty_is_in_the_last_bin():
    p, is_lens = np.array([1.0, 0.95]), np.array([False, True])
    assert expected_calibration_error(p, is_lens) == pytest.approx(abs(1 - 1.95) / 2)
