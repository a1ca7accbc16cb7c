import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import poisson

from scanner.purity import ValueWithInterval
from scanner.review.yields.lists import counts_at, list_content, night_list, with_chance
from tests.scanner.catalogue_parts import purity_table


def between(value, low=None, high=None):
    return ValueWithInterval(value=value, low=value if low is None else low, high=value if high is None else high)


@pytest.mark.parametrize(("rate", "n"), [(3.0, 5), (0.2, 40), (30.0, 2000), (12.0, 4), (900.0, 3)])
def test_lenses_are_poisson_up_to_the_length(rate, n):
    weights = softmax(poisson.logpmf(np.arange(n + 1), rate))
    found = list_content(n, between(rate)).n_lenses
    assert found.value == pytest.approx(weights @ np.arange(n + 1), rel=1e-6)
    cumulative = np.cumsum(weights)
    assert found.low == pytest.approx(min(np.searchsorted(cumulative, 0.025), found.value))
    assert found.high == pytest.approx(max(np.searchsorted(cumulative, 0.975), found.value))


def test_contaminants_are_the_rest():
    found = list_content(100, between(8.0, 6.0, 10.0))
    assert found.n_contaminants.value == pytest.approx(92)
    assert found.n_contaminants.low == 100 - found.n_lenses.high
    assert found.n_contaminants.high == 100 - found.n_lenses.low
    assert found.inspected_per_lens == pytest.approx(12.5)
    assert found.inspected_per_lens_low == 100 / found.n_lenses.high
    assert found.inspected_per_lens_high == 100 / found.n_lenses.low


def test_a_list_that_may_hold_no_lens_has_no_limit():
    found = list_content(100, between(0.5, 0.0, 2.0))
    assert (found.n_lenses.low, found.inspected_per_lens_high) == (0, None)
    assert found.inspected_per_lens == pytest.approx(200)
    nothing = list_content(100, between(0.0))
    assert (nothing.inspected_per_lens, nothing.n_lenses.value) == (None, 0)
    empty = list_content(0, between(5.0))
    assert (empty.n_lenses, empty.n_contaminants) == (between(0.0), between(0.0))


def test_the_interval_holds_the_lenses_of_simulated_nights(rng):
    """Nights of Poisson lenses among many contaminants: the interval misses at most 5 % and a few."""
    missed = 0
    for _ in range(400):
        n_lenses, n_others = rng.poisson(8.0), rng.poisson(60.0)
        found = list_content(n_lenses + n_others, between(8.0)).n_lenses
        missed += not found.low <= n_lenses <= found.high
    assert missed <= 400 * 0.05 + 3 * np.sqrt(400 * 0.05)


def test_chance_widens_an_expected_number():
    found = with_chance(between(10.0, 8.0, 12.0))
    assert (found.value, found.low, found.high) == (10.0, poisson.ppf(0.025, 8), poisson.ppf(0.975, 12))
    assert with_chance(between(0.01)) == between(0.01, 0.0, 0.01)


def test_cuts_are_compared_in_float32():
    p = np.float32([0.1, 0.3, 0.3, 0.9])
    assert counts_at(p, [0.05, 0.1, 0.3, 0.31, 0.95]) == [4, 4, 3, 1, 0]


def test_a_list_has_a_content_at_both_prevalences():
    """The table has recall 1 and prevalence 0.001; at an estimate of twice as much, twice as many lenses are expected."""
    found = night_list(0.5, 900, 4000, purity_table(0.25), between(0.002, 0.0, 0.003))
    assert found.at_stated.n_lenses.value == pytest.approx(4, rel=1e-6)
    assert found.at_stated.n_lenses.low == poisson.ppf(0.025, 4)
    assert found.at_estimated.n_lenses.value == pytest.approx(8, rel=1e-6)
    assert (found.at_estimated.n_lenses.low, found.at_estimated.n_lenses.high) == (0, poisson.ppf(0.975, 12))
    # A quarter of the list should be lenses: sixteen rows for four lenses.
    assert found.n_foreseen.value == pytest.approx(16)
    assert found.n_foreseen.high == poisson.ppf(0.975, 16)
    with pytest.raises(ValueError, match=r"p_lens must be at least the lowest evaluated cut, 0.5, got 0.4"):
        night_list(0.4, 900, 4000, purity_table(0.25), between(0.002))
