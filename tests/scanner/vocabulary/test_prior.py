"""A probability beside its prior, in words."""

import pytest

from scanner.vocabulary.prior import grouped, one_in, prior_text, prior_words, rounded


@pytest.mark.parametrize(
    ("p_lens", "words"),
    [
        (0.0093, "19 times the prior of 1 in 2000"),
        (0.0001, "0.2 times the prior of 1 in 2000"),
        (0.0005, "equal to the prior of 1 in 2000"),
        (0.000502, "equal to the prior of 1 in 2000"),
        (0.00063, "1.3 times the prior of 1 in 2000"),
        (0.61, "1200 times the prior of 1 in 2000"),
        (1.0, "2000 times the prior of 1 in 2000"),
        (1e-9, "less than 0.01 times the prior of 1 in 2000"),
        (0.0, "less than 0.01 times the prior of 1 in 2000"),
    ],
)
def test_a_probability_is_compared_with_its_prior(p_lens, words):
    assert prior_words(p_lens, 0.0005) == words


def test_other_priors_and_none():
    assert prior_words(0.52, 0.4) == "1.3 times the prior of 1 in 2.5"
    assert prior_words(0.5, 2e-5) == "25 000 times the prior of 1 in 50 000"
    assert prior_words(0.5, None) == "not calibrated"


def test_people_read_two_digits_and_separate_thousands():
    assert [rounded(n) for n in (35073.2, 367.9, 9949, 0.1234, 0, 1e6)] == ["35 000", "370", "9900", "0.12", "0", "1 000 000"]
    assert [grouped(n) for n in (9999, 12345, 2.5)] == ["9999", "12 345", "2.5"]
    assert [one_in(p) for p in (0.0005, 1 / 2703, 1 / 123456)] == ["2000", "2700", "123 000"]


def test_a_prior_is_said_as_one_object_in_many():
    assert prior_text(0.0005) == "one object in 2000 is a lens"
    assert prior_text(None) == "none; p_lens is not calibrated"
