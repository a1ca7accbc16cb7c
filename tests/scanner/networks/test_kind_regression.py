"""The regression of the kind of lens, against closed forms."""

import numpy as np
import pytest
from pydantic import ValidationError

from scanner.networks.kind_regression import KindRegression, kind_features
from tests.scanner.cascades import kind_regression


def margins(*rows):
    return np.array(rows, float)


def test_features_are_log_odds_against_a_single_lens():
    by_network = {
        "A": margins((1, 2, 4), (0, 0, 30)),
        "B": margins((3, 0, 0), (0, -1, 1)),
        "K": margins((9, 8, 7), (-30, 0, 1)),
        "other": margins((7, 7, 7), (7, 7, 7)),
    }
    # The committee's are averaged after each is clipped.
    expected = [[(1 - 3) / 2, (3 - 3) / 2, -1, -2], [(0 - 1) / 2, (20 + 1) / 2, 20, 20]]
    assert kind_features(by_network, ("A", "B"), "K", 20.0).tolist() == expected


def test_the_log_odds_of_three_networks_are_averaged():
    by_network = {name: margins((0, arc, ring)) for name, arc, ring in (("A", 1, 0), ("B", 2, -9), ("C", 9, 3), ("K", 5, 6))}
    assert kind_features(by_network, ("A", "B", "C"), "K", 20.0).tolist() == [[(1 + 2 + 9) / 3, (0 - 9 + 3) / 3, 5, 6]]


def test_probabilities_are_a_softmax_of_scaled_features():
    regression = kind_regression(
        centre=(1.0, 0.0, 0.0, 0.0), scale=(2.0, 1.0, 1.0, 1.0), biases=(0.5, 0.0, 0.0),
        weights=((0.0, 0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 3.0)),
    )  # fmt: skip
    by_network = {"A": margins((0, 5, 0)), "B": margins((0, 5, 0)), "K": margins((0, 0, 1))}
    logits = np.array([0.5, (5 - 1) / 2, 3.0])
    expected = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(regression.fitted_probabilities(by_network), [expected], rtol=1e-12)


def test_large_logits_do_not_overflow():
    regression = kind_regression(biases=(1e5, 0.0, -1e5))
    flat = dict.fromkeys("ABK", margins((0, 0, 0)))
    assert regression.fitted_probabilities(flat).tolist() == [[1.0, 0.0, 0.0]]


def test_another_share_of_compound_lenses_moves_the_odds():
    regression = kind_regression(training_fractions=(0.5, 0.3, 0.2))
    fitted = np.array([[0.6, 0.3, 0.1], [0.5, 0.3, 0.2], [1.0, 0.0, 0.0]])
    assert regression.at_assumed_share(fitted) is fitted
    moved = regression.assuming(0.02).at_assumed_share(fitted)
    np.testing.assert_allclose(moved.sum(axis=1), 1, rtol=1e-12)
    # An object whose fitted probabilities are the fitted fractions says nothing: it gets the assumed share.
    np.testing.assert_allclose(moved[1, 1:].sum(), 0.02, rtol=1e-12)
    odds = (moved[0, 1:].sum() / moved[0, 0]) / (0.4 / 0.6)
    assert odds == pytest.approx((0.02 / 0.98) / (0.5 / 0.5), rel=1e-12)
    assert moved[0, 1] / moved[0, 2] == pytest.approx(3, rel=1e-12)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"centre": (0.0,) * 3}, "centre must hold 4 entries, got 3"),
        ({"scale": (1.0, 1.0, 1.0, 0.0)}, "greater than 0"),
        ({"weights": ((0.0,) * 4,) * 2}, "weights must hold 3 entries, got 2"),
        ({"weights": ((0.0,) * 3,) * 3}, "weights must hold 4 numbers a kind"),
        ({"biases": (0.0,) * 4}, "biases must hold 3 entries, got 4"),
        ({"training_fractions": (0.5, 0.3, 0.3)}, "must sum to 1, got 1.1"),
        ({"training_fractions": (0.6, 0.2, 0.200002)}, r"must sum to 1, got 1\.000002"),
        ({"compound_share": 1.0}, "less than 1"),
        ({"committee": ()}, "at least 1 item"),
    ],
)
def test_a_regression_that_does_not_fit_is_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        kind_regression(**changes)


def test_a_share_out_of_range_is_refused():
    with pytest.raises(ValidationError, match="greater than 0"):
        kind_regression().assuming(0.0)


def test_everything_decides_the_kinds():
    regression = kind_regression()
    assert KindRegression.model_validate(regression.what_decides()) == regression
    assert regression.what_decides() != regression.assuming(0.02).what_decides()
