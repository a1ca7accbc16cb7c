import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from training.calibrate import expected_calibration_error, fit_stack


def drawn(n, seed=0):
    """Kinds and two margins from known normal distributions."""
    rng = np.random.default_rng(seed)
    kinds = rng.choice(4, size=n, p=[0.4, 0.3, 0.2, 0.1])
    means = np.array([[-2.0, -1.0], [1.0, 0.0], [1.5, 2.0], [3.0, 1.0]])
    x = rng.normal(means[kinds], 1.0)
    likelihood = np.exp(-0.5 * ((x[:, None, :] - means) ** 2).sum(axis=2)) * [0.4, 0.3, 0.2, 0.1]
    return {"a": x[:, :1], "b": x[:, 1:]}, kinds, likelihood / likelihood.sum(axis=1, keepdims=True)


def test_it_recovers_the_posterior_of_a_known_model():
    margins, kinds, _ = drawn(20000)
    fresh, fresh_kinds, posterior = drawn(2000, seed=1)
    p = fit_stack(margins, kinds).probabilities(fresh)
    assert np.abs(p - posterior).mean() < 0.01
    assert expected_calibration_error(1 - p[:, 0], fresh_kinds > 0) < 0.03


def test_it_equals_scikit_learn_on_scaled_margins():
    margins, kinds, _ = drawn(300)
    card = fit_stack(margins, kinds)
    x = np.concatenate([margins["a"], margins["b"]], axis=1)
    scaled = (x - x.mean(axis=0)) / x.std(axis=0)
    expected = LogisticRegression(max_iter=2000).fit(scaled, kinds).predict_proba(scaled)
    assert np.abs(card.probabilities(margins) - expected).max() < 1e-6
    assert card.training_fractions == pytest.approx(np.bincount(kinds) / 300)


def test_constant_and_infinite_looking_margins_do_no_harm():
    margins, kinds, _ = drawn(300)
    card = fit_stack({**margins, "dead": np.zeros((300, 1)), "sure": np.where(kinds > 0, 1e6, -1e6)[:, None]}, kinds)
    values = {"a": 0.0, "b": 0.0, "dead": 0.0, "sure": 1e30}
    p = card.probabilities({name: np.array([[value]]) for name, value in values.items()})
    assert np.isfinite(p).all()


def test_too_few_of_a_kind_are_refused():
    margins, kinds, _ = drawn(30)
    kinds = np.where(kinds == 3, 2, kinds)
    with pytest.raises(ValueError, match="'double_ring': 0"):
        fit_stack(margins, kinds)


def test_calibration_error_by_hand():
    p = np.array([0.05, 0.05, 0.95, 0.85])
    is_lens = np.array([False, True, True, False])
    # Bins: two at 0.05 of which one is a lens, one at 0.95 right, one at 0.85 wrong.
    assert expected_calibration_error(p, is_lens) == pytest.approx((2 * 0.45 + 0.05 + 0.85) / 4)


def test_to_expect_no_lens_at_all_costs_the_prevalence():
    is_lens = np.arange(100) < 30
    assert expected_calibration_error(np.zeros(100), is_lens, prevalence=5e-4) == pytest.approx(5e-4)
