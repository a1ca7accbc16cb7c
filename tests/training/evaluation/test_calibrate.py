import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from tests.training.evaluation.known_margins import drawn
from training.evaluation.calibrate import can_stack, expected_calibration_error, fit_stack


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
