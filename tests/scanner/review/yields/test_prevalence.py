import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import binom, chi2, norm

from scanner.review.yields.prevalence import _root, night_prevalence, with_natural_kinds

ASSUMED = 5e-4


def calibrated(x, shift, assumed=ASSUMED):
    """Return p_lens of scores that are N(0, 1) for other objects and N(shift, 1) for lenses."""
    odds = assumed / (1 - assumed) * norm.pdf(x, shift) / norm.pdf(x)
    return odds / (1 + odds)


def drawn(n, fraction, rng, shift=3.0):
    is_lens = rng.random(n) < fraction
    return calibrated(rng.normal(np.where(is_lens, shift, 0.0)), shift), int(is_lens.sum())


@pytest.mark.parametrize("n_high", [7, 40, 300])
def test_two_scores_make_a_binomial_fraction(n_high):
    """With two scores, high for 60 % of lenses and 1 % of others, the fraction is that of a binomial, with its limits."""
    n, of_lenses, of_others = 1000, 0.6, 0.01
    high, low = (
        ASSUMED * a / (ASSUMED * a + (1 - ASSUMED) * b) for a, b in ((of_lenses, of_others), (1 - of_lenses, 1 - of_others))
    )
    found = night_prevalence(np.repeat([high, low], [n_high, n - n_high]), ASSUMED)

    def fraction(p_high):
        return (p_high - of_others) / (of_lenses - of_others)

    def excess(p_high):
        return 2 * (binom.logpmf(n_high, n, max(n_high / n, of_others)) - binom.logpmf(n_high, n, p_high)) - chi2.ppf(0.95, 1)

    best = max(n_high / n, of_others)
    lower = brentq(excess, of_others, best) if n_high > 20 else of_others
    upper = brentq(excess, best, 0.9)
    got = found.fraction
    assert (got.value, got.low, got.high) == pytest.approx(tuple(map(fraction, (best, lower, upper))), rel=1e-5, abs=1e-12)
    assert found.is_above_zero == (n_high > 20)


def test_the_maximum_is_that_of_expectation_maximisation(rng):
    p, _ = drawn(20_000, 0.004, rng)
    fraction = ASSUMED
    for _ in range(3000):
        odds = p / (1 - p) * (fraction / (1 - fraction)) / (ASSUMED / (1 - ASSUMED))
        fraction = float(np.mean(odds / (1 + odds)))
    assert night_prevalence(p, ASSUMED).fraction.value == pytest.approx(fraction, rel=1e-4)


@pytest.mark.parametrize("fraction", [0.001, 0.02, 0.5])
def test_intervals_hold_the_true_fraction(rng, fraction):
    """In 200 nights the 95 % interval misses the fraction at most as often as chance allows in one test of a thousand."""
    missed = 0
    for _ in range(200):
        p, _ = drawn(5000, fraction, rng)
        found = night_prevalence(p, ASSUMED).fraction
        missed += not found.low <= fraction <= found.high
    assert missed <= binom.ppf(0.999, 200, 0.06)


def test_a_night_without_lenses_is_not_told_from_zero(rng):
    nights = [night_prevalence(drawn(5000, 0.0, rng)[0], ASSUMED) for _ in range(100)]
    # The likelihood ratio at the edge is chi squared in half of the nights only: 2.5 % of them are told from zero.
    assert sum(night.is_above_zero for night in nights) <= binom.ppf(0.999, 100, 0.025)
    assert all(night.fraction.low == 0 < night.fraction.high < 0.01 for night in nights if not night.is_above_zero)


def test_a_night_of_lenses_alone_reaches_one(rng):
    p = calibrated(rng.normal(6.0, 1.0, 500), 6.0)
    found = night_prevalence(p, ASSUMED).fraction
    assert (found.value, found.high) == pytest.approx((1.0, 1.0), abs=2e-3)
    assert found.low > 0.98


@pytest.mark.parametrize(("zero", "root"), [(0.2, 0.25), (0.25, 0.25), (0.6, pytest.approx(0.6)), (0.75, 0.75), (0.8, 0.75)])
def test_a_root_is_between_the_ends_or_at_one(zero, root):
    # Rounded likelihoods are almost never exactly 0 at an end, so the search is tested by itself.
    assert _root(lambda x: zero - x, 0.25, 0.75) == root


def test_certain_scores_count_as_certain():
    found = night_prevalence(np.float32([0.0] * 90 + [1.0] * 10), ASSUMED).fraction
    assert found.value == pytest.approx(0.1, rel=1e-3)


@pytest.mark.parametrize(
    ("p", "assumed", "text"),
    [
        ([], 0.1, "p_lens must hold probabilities of at least one object, got 0"),
        ([0.5, np.nan], 0.1, "p_lens must hold probabilities"),
        ([0.5, 1.5], 0.1, "p_lens must hold probabilities"),
        ([0.5], 1.0, "assumed must lie between 0 and 1, both excluded, got 1"),
    ],
)
def test_values_that_are_no_probabilities_are_refused(p, assumed, text):
    with pytest.raises(ValueError, match=text):
        night_prevalence(np.array(p), assumed)


def kinds_of_lenses(x, counted, natural, assumed=0.01):
    """Return p_lens and p_compound of scores: N(0, 1) for others, N(2, 1) for single and N(4, 1) for compound lenses."""
    other, single, compound = (norm.pdf(x, mean) for mean in (0, 2, 4))
    of_lenses = (1 - counted) * single + counted * compound
    p_lens = assumed * of_lenses / (assumed * of_lenses + (1 - assumed) * other)
    return p_lens, p_lens * natural * compound / ((1 - natural) * single + natural * compound)


def test_other_kinds_of_lens_by_bayes(rng):
    x = rng.normal(1.5, 2.5, 500)
    p_lens, p_compound = kinds_of_lenses(x, 0.3, 0.02)
    expected, _ = kinds_of_lenses(x, 0.02, 0.02)
    assert with_natural_kinds(p_lens, p_compound, 0.3, 0.02) == pytest.approx(expected, rel=1e-9)
    assert with_natural_kinds(expected, expected * p_compound / p_lens, 0.02, 0.02) == pytest.approx(expected, rel=1e-9)
    assert with_natural_kinds(np.zeros(2), np.zeros(2), 0.3, 0.02).tolist() == [0, 0]


def test_a_night_of_rare_compound_lenses_is_counted(rng):
    """With one compound lens in 50, the mix of three in ten finds too few lenses, and the natural one as many as there are."""
    n = rng.multinomial(200_000, [0.99, 0.01 * 0.98, 0.01 * 0.02])
    p_lens, p_compound = kinds_of_lenses(
        np.concatenate([rng.normal(m, 1, k) for m, k in zip((0, 2, 4), n, strict=True)]), 0.3, 0.02
    )
    natural = night_prevalence(with_natural_kinds(p_lens, p_compound, 0.3, 0.02), 0.01).fraction
    assert natural.low < 0.01 < natural.high
    assert night_prevalence(p_lens, 0.01).fraction.high < 0.9 * 0.01
