"""The stability index against closed forms, and its chance distribution against draws."""

import numpy as np
import pytest

from scanner.stability import stability


def test_two_bins_have_the_closed_form():
    found = stability(np.array([5000, 5000]), np.array([2500, 7500]))
    assert found.value == pytest.approx(0.25 * np.log(3), rel=1e-3)
    assert found.p_chance < 1e-100


def test_an_empty_bin_counts_as_half_an_object():
    # Shares of 5.5 and 5.5 of 11 against 10.5 and 0.5 of 11.
    found = stability(np.array([10, 0]), np.array([5, 5]))
    assert found.value == pytest.approx(5 / 11 * np.log(21), rel=1e-12)


def test_equal_shares_have_no_index():
    found = stability(np.array([100, 300, 600]), np.array([100, 300, 600]))
    assert found.value == 0
    assert found.p_chance == 1


def test_one_bin_cannot_drift_and_one_object_makes_another():
    assert stability(np.array([20, 0]), np.array([10, 0])) == (0, 0, 1)
    assert stability(np.array([20, 0]), np.array([9, 1])).expected == pytest.approx(1 / 20 + 1 / 10)


def test_bins_that_both_leave_empty_do_not_count():
    few, many = np.array([40, 60]), np.array([55, 45])
    padded = [np.insert(counts, 1, [0, 0]) for counts in (few, many)]
    assert stability(*padded) == stability(few, many)


def test_chance_is_uniform_for_draws_of_one_population():
    rng = np.random.default_rng(7)
    shares = np.array([0.1, 0.2, 0.3, 0.25, 0.15])
    found = [stability(rng.multinomial(4000, shares), rng.multinomial(1000, shares)) for _ in range(2000)]
    chances = np.array([each.p_chance for each in found])
    assert np.mean(chances < 0.05) == pytest.approx(0.05, abs=0.015)
    assert np.mean(chances < 0.5) == pytest.approx(0.5, abs=0.035)
    assert np.mean([each.value for each in found]) == pytest.approx(found[0].expected, rel=0.06)


@pytest.mark.parametrize(
    ("reference", "counts", "message"),
    [
        ([1, 2], [1, 2, 3], "same bins"),
        ([1, -2], [1, 2], "negative"),
        ([1, 2], [1, -2], "negative"),
        ([], [], "got 0 and 0"),
        ([0, 0], [1, 2], "got 0 and 3"),
    ],
)
def test_histograms_that_cannot_be_compared_are_refused(reference, counts, message):
    with pytest.raises(ValueError, match=message):
        stability(np.array(reference, int), np.array(counts, int))
