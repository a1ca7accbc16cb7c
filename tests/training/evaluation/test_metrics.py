"""Tests of metrics against scikit-learn and closed forms."""

import math

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics
from sklearn.metrics import accuracy_score, fbeta_score, precision_score, recall_score, roc_auc_score

from scanner.vocabulary.kinds import KINDS
from training.evaluation.calibrate import expected_calibration_error
from training.evaluation.metrics import (
    auroc,
    binomial_interval,
    f_beta,
    interval,
    log_loss,
    max_f_beta,
    metrics,
    recall_at_false_positives,
    recall_interval,
    reflected_interval,
    roc_curve,
    share_with_interval,
    threshold_at_false_positives,
    threshold_at_rate,
)


@pytest.fixture
def scored():
    """Return kinds and probabilities, rounded to 0.01 so that there are ties."""
    rng = np.random.default_rng(4)
    kinds = rng.integers(4, size=500)
    return np.round(1 / (1 + np.exp(-rng.normal(np.where(kinds > 0, 1, -1), 1.5))), 2), kinds


def test_every_metric_equals_that_of_scikit_learn(scored):
    p, kinds = scored
    is_lens, called = kinds > 0, p >= 0.5
    got = metrics(p, kinds, np.random.default_rng(0))
    assert got["auroc"] == pytest.approx(roc_auc_score(is_lens, p), abs=1e-12)
    assert got["accuracy"] == pytest.approx(accuracy_score(is_lens, called))
    assert got["precision"] == pytest.approx(precision_score(is_lens, called))
    assert got["recall"] == pytest.approx(recall_score(is_lens, called))
    assert got["f_beta"] == pytest.approx(fbeta_score(is_lens, called, beta=0.03))
    for i, kind in enumerate(KINDS):
        key = "false_positive_rate" if i == 0 else f"recall_{kind}"
        assert got[key] == pytest.approx(called[kinds == i].mean())
    assert got["auroc_low"] < got["auroc"] < got["auroc_high"]


def test_a_probability_of_a_half_is_called_a_lens():
    got = metrics(np.array([0.5, 0.4, 0.5, 0.2]), np.array([1, 1, 0, 0]), np.random.default_rng(0))
    assert [got[name] for name in ("recall", "precision", "accuracy", "false_positive_rate")] == [0.5] * 4


def test_absent_kinds_have_no_figure_and_no_candidates_no_precision():
    got = metrics(np.array([0.1, 0.2, 0.3, 0.4]), np.array([0, 0, 3, 3]), np.random.default_rng(0))
    by_kind = {name: value for name, value in got.items() if name.startswith(("recall_", "false_"))}
    assert by_kind == {"false_positive_rate": 0, "recall_double_ring": 0}
    assert (got["precision"], got["recall"], got["f_beta"], got["auroc"]) == (0, 0, 0, 1)


def test_the_card_has_the_interval_of_the_resamples(scored):
    p, kinds = scored
    got = metrics(p, kinds, np.random.default_rng(3))
    assert (got["auroc_low"], got["auroc_high"]) == interval(auroc, p, kinds > 0, np.random.default_rng(3))


def test_the_best_f_beta_over_thresholds(scored):
    p, kinds = scored
    brute = max(fbeta_score(kinds > 0, p >= t, beta=0.03) for t in np.unique(p))
    assert max_f_beta(p, kinds > 0) == pytest.approx(brute, abs=1e-12)
    assert metrics(p, kinds, np.random.default_rng(0))["f_beta_max"] == pytest.approx(brute, abs=1e-12)


def test_the_roc_curve_equals_that_of_scikit_learn(scored):
    p, kinds = scored
    is_lens = kinds > 0
    true, false = roc_curve(p, is_lens)
    false_rate, true_rate, _ = sklearn_metrics.roc_curve(is_lens, p, drop_intermediate=False)
    assert true / is_lens.sum() == pytest.approx(true_rate[1:])
    assert false / (~is_lens).sum() == pytest.approx(false_rate[1:])


def test_recall_at_a_number_of_false_positives_by_hand():
    p = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.5, 0.4])
    is_lens = np.array([True, False, True, True, False, True, True])
    assert recall_at_false_positives(p, is_lens, 0) == pytest.approx(1 / 5)
    # A lens that ties with the second non-lens is not found before it.
    assert recall_at_false_positives(p, is_lens, 1) == pytest.approx(3 / 5)
    assert recall_at_false_positives(p, is_lens, 2) == 1
    assert [threshold_at_false_positives(p, is_lens, n) for n in range(4)] == [0.8, 0.5, -np.inf, -np.inf]


def test_thresholds_let_the_stated_share_of_non_lenses_through():
    rng = np.random.default_rng(6)
    p, is_lens = rng.random(1000), np.arange(1000) < 200
    for rate in (0.0, 0.01, 0.05):
        assert np.mean(p[~is_lens] > threshold_at_rate(p, is_lens, rate)) == pytest.approx(rate, abs=1e-9)


def test_the_binomial_interval_is_that_of_wilson():
    z, n, share = 1.959964, 40, 0.25
    centre, half = (share + z**2 / 2 / n), z * math.sqrt(share * (1 - share) / n + z**2 / 4 / n**2)
    assert binomial_interval(10, 40) == pytest.approx(
        ((centre - half) / (1 + z**2 / n), (centre + half) / (1 + z**2 / n)), abs=1e-6
    )
    assert binomial_interval(0, 0) == (0, 1)
    assert binomial_interval(1, 1) == pytest.approx((1 / (1 + z**2), 1), abs=1e-6)
    share = share_with_interval(np.arange(40) < 10)
    assert (share.value, share.low, share.high) == (0.25, *binomial_interval(10, 40))


def test_f_beta_edges():
    assert f_beta(0, 0) == 0
    assert f_beta(0.4, 0.4) == pytest.approx(0.4)
    assert f_beta(0.2, 0.6, beta=1) == pytest.approx(0.3)


def test_the_interval_has_the_width_of_theory():
    """Compare with Hanley & McNeil (1982) for two normal distributions one sigma apart."""
    rng = np.random.default_rng(2)
    is_lens = np.repeat([True, False], 200)
    p = rng.normal(is_lens, 1.0)
    low, high = interval(auroc, p, is_lens, np.random.default_rng(0))
    a = auroc(p, is_lens)
    q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
    sigma = math.sqrt((a * (1 - a) + 199 * (q1 - a * a) + 199 * (q2 - a * a)) / 200**2)
    assert (high - low) / (2 * 1.96) == pytest.approx(sigma, rel=0.25)


def test_resamples_are_drawn_from_each_class_with_replacement():
    is_lens = np.arange(60) % 3 == 0
    p = np.arange(60.0)
    resamples = []

    def statistic(drawn, labels):
        resamples.append((drawn, labels))
        return float(len(resamples))

    # The 2.5 % and 97.5 % quantiles of the numbers 1 to 1000.
    assert interval(statistic, p, is_lens, np.random.default_rng(0)) == pytest.approx((25.975, 975.025))
    assert len(resamples) == 1000
    for drawn, labels in resamples:
        assert (labels.sum(), (~labels).sum()) == (20, 40)
        assert np.array_equal(drawn % 3 == 0, labels)
    # An object is absent from a resample of its n with probability (1 - 1/n)^n.
    for label, n in ((True, 20), (False, 40)):
        n_different = np.mean([len(set(drawn[labels == label])) for drawn, labels in resamples])
        assert n_different == pytest.approx(n * (1 - (1 - 1 / n) ** n), abs=0.2)


def test_a_reflected_interval_mirrors_percentiles_and_ends_at_zero(monkeypatch):
    p, is_lens = np.array([0.2, 0.9]), np.array([False, True])

    def reflected(low, high):
        monkeypatch.setattr("training.evaluation.metrics.interval", lambda *_: (low, high))
        return reflected_interval(lambda p, is_lens: float(p[is_lens][0]), p, is_lens, np.random.default_rng(0))

    assert reflected(1.0, 1.5) == pytest.approx((0.3, 0.8))
    assert reflected(1.0, 2.5) == pytest.approx((0, 0.8))
    assert reflected(2.0, 2.5) == (0, 0)


def test_recall_interval_spans_recalls_at_neighbouring_thresholds():
    others, lenses = np.arange(100.0), np.arange(60, 100) + 0.5
    p, is_lens = np.append(others, lenses), np.arange(140) >= 100
    # Above the 4th, 5th and 19th highest of the others, 96, 95 and 81, lie 4, 5 and 19 of the 40 lenses.
    assert recall_interval(p, is_lens, 0) == pytest.approx((0, binomial_interval(4, 40)[1]))
    assert recall_interval(p, is_lens, 10) == pytest.approx((binomial_interval(5, 40)[0], binomial_interval(19, 40)[1]))
    # Around a median of 3 lie 0 to 8, around 4 lie 1 to 9: thresholds from the highest to the 9th and 10th highest.
    assert recall_interval(p, is_lens, 3) == pytest.approx((0, binomial_interval(9, 40)[1]))
    assert recall_interval(p, is_lens, 4) == pytest.approx((binomial_interval(1, 40)[0], binomial_interval(10, 40)[1]))
    assert recall_interval(p[95:], is_lens[95:], 10)[1] == 1


@pytest.mark.parametrize(("n_false", "n_expected"), [(0, math.log(2)), (10, 10.6685)])
def test_the_interval_of_recall_covers_the_truth(n_false, n_expected):
    """Non-lenses are uniform, lenses 1 - u^2: at n_expected of n non-lenses the recall is sqrt(n_expected / n)."""
    rng, n, truth = np.random.default_rng(8), 400, math.sqrt(n_expected / 400)
    is_lens = np.arange(2 * n) < n
    samples = [np.append(1 - rng.random(n) ** 2, rng.random(n)) for _ in range(400)]
    found = np.array([(recall_at_false_positives(p, is_lens, n_false), *recall_interval(p, is_lens, n_false)) for p in samples])
    assert np.mean(found[:, 0] < truth) == pytest.approx(0.5, abs=0.07)
    assert np.mean((found[:, 1] <= truth) & (truth <= found[:, 2])) > 0.95
    assert np.mean(found[:, 2]) < 3.5 * truth


def test_the_reflected_interval_is_nearer_to_a_true_zero(monkeypatch):
    monkeypatch.setattr("training.evaluation.metrics.N_BOOTSTRAP", 200)
    rng = np.random.default_rng(9)
    plain, reflected = [], []
    for _ in range(40):
        p = rng.random(500)
        is_lens = rng.random(500) < p
        plain.append(interval(expected_calibration_error, p, is_lens, rng))
        reflected.append(reflected_interval(expected_calibration_error, p, is_lens, rng))
    assert np.mean([low == 0 for low, _ in reflected]) > 0.3
    assert min(low for low, _ in plain) > 0.01
    assert np.mean(reflected) < 0.5 * np.mean(plain)
    # This error is far above the noise: p is twice too high.
    is_lens = rng.random(5000) < 0.5 * (p := rng.random(5000))
    low, high = reflected_interval(expected_calibration_error, p, is_lens, rng)
    assert low < 0.25 < high < 0.3


def test_a_certainly_wrong_object_keeps_the_log_loss_finite():
    p, is_lens = np.array([0.9, 0.2, 0.5]), np.array([True, False, True])
    assert log_loss(p, is_lens) == pytest.approx(sklearn_metrics.log_loss(is_lens, p))
    wrong = np.array([0.0, 1.0, 1 + 1e-15])
    assert log_loss(wrong, np.array([True, False, False])) == pytest.approx(-np.log(1e-12))
    assert log_loss(wrong, np.array([False, True, True])) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("n_lenses", [0, 3])
def test_one_class_only_is_refused(n_lenses):
    with pytest.raises(ValueError, match=f"{n_lenses} lenses and {3 - n_lenses} non-lenses"):
        auroc(np.zeros(3), np.arange(3) < n_lenses)


def test_one_object_of_a_class_is_enough():
    p = np.array([0.1, 0.2, 0.3, 0.2])
    assert auroc(p, np.array([False, True, False, False])) == pytest.approx(0.5)
    assert auroc(p, np.array([True, False, True, True])) == pytest.approx(0.5)
