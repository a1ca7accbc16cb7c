from fractions import Fraction

import numpy as np

from scanner.networks.weighted_sums import weighted_sums


def test_sums_are_those_of_exact_arithmetic():
    rng = np.random.default_rng(1)
    values, weights = rng.normal(size=(3, 5)), rng.normal(size=(2, 5))
    found = weighted_sums(values, weights)
    assert found.shape == (3, 2)
    for row in range(3):
        for number in range(2):
            terms = zip(values[row].tolist(), weights[number].tolist(), strict=True)
            exact = sum(Fraction(value) * Fraction(weight) for value, weight in terms)
            assert abs(found[row, number] - float(exact)) < 1e-14


def test_a_row_has_the_same_bits_in_any_batch():
    rng = np.random.default_rng(2)
    values, weights = rng.normal(size=(97, 21)), rng.normal(size=(4, 21))
    whole = weighted_sums(values, weights)
    for size in (1, 2, 5, 16):
        parts = [weighted_sums(values[i : i + size], weights) for i in range(0, len(values), size)]
        assert np.array_equal(np.concatenate(parts), whole)


def test_no_rows_give_no_sums():
    assert weighted_sums(np.zeros((0, 3)), np.ones((4, 3))).shape == (0, 4)
