import numpy as np
import pytest
from scipy.stats import false_discovery_control

from scanner.networks.nonlens_sample import NonLensTail
from scanner.review.yields.conformal import guaranteed_list

LEVEL = 0.1


def tail_of(scores, least=0.0):
    return NonLensTail.of(np.float32(scores), least)


def by_brute_force(p_lens, calibration, level):
    """Return the chosen rows: p-values by counting, adjusted as SciPy does."""
    p_values = [(1 + sum(c >= p for c in calibration)) / (1 + len(calibration)) for p in p_lens]
    return false_discovery_control(p_values) <= level


@pytest.mark.parametrize("level", [0.05, 0.2, 0.5])
def test_lists_are_those_of_brute_force(rng, level):
    for _ in range(20):
        calibration = np.float32(rng.integers(0, 60, 200) / 64)
        night = np.float32(np.append(rng.integers(0, 60, 40), rng.integers(50, 70, 12)) / 70)
        expected = by_brute_force(night, calibration, level)
        found = guaranteed_list(night, len(night), tail_of(calibration), level)
        assert found.n_listed == expected.sum()
        chosen = np.zeros(len(night), bool) if found.least_p_lens is None else night >= found.least_p_lens
        assert chosen.tolist() == expected.tolist()


def test_rows_that_are_left_out_count_as_tests(rng):
    """A list that lies above the rows that are left out stays the same."""
    calibration = np.float32(rng.random(5000))
    night = np.float32(np.append(rng.random(1000), 1 + rng.random(50)))
    whole = guaranteed_list(night, len(night), tail_of(calibration), LEVEL)
    cut = guaranteed_list(night[night >= 0.9], len(night), tail_of(calibration, 0.9), LEVEL)
    assert cut == whole
    assert whole.n_listed >= 50


@pytest.mark.parametrize("n_lenses", [0, 30])
def test_the_false_discovery_rate_keeps_its_level(rng, n_lenses):
    """The mean false share of the lists of exchangeable draws lies below the level, within four standard errors."""
    shares = []
    for _ in range(800):
        night = np.append(rng.normal(0, 1, 300), rng.normal(4, 1, n_lenses))
        scores = np.float32(1 / (1 + np.exp(-night)))
        tail = tail_of(1 / (1 + np.exp(-rng.normal(0, 1, 1500))))
        found = guaranteed_list(scores, len(scores), tail, 0.2)
        listed = scores >= (2 if found.least_p_lens is None else found.least_p_lens)
        shares.append(listed[:300].sum() / max(listed.sum(), 1))
    mean, error = np.mean(shares), np.std(shares) / np.sqrt(len(shares))
    expected = 0.2 * 300 / (300 + n_lenses)
    assert mean <= expected + 4 * error
    # With discrete p-values the rate is a little below; without any list it would be 0.
    assert mean >= 0.6 * expected - 4 * error


def test_more_contaminants_than_calibration_make_the_rate_too_large(rng):
    """The guarantee rests on exchangeability: non-lenses that score higher than the sample break it."""
    night = np.float32(np.append(rng.random(1000), 1 + rng.random(50)))
    found = guaranteed_list(night, len(night), tail_of(rng.random(20_000)), LEVEL)
    assert found.n_listed >= 50  # though none of them is a lens


def test_too_few_calibration_objects_are_counted(rng):
    """With 99 objects the smallest p-value is 0.01, so a list of 1000 tests at 0.1 needs 100 rows beyond the sample."""
    night = np.float32(np.append(rng.random(980), 1 + rng.random(20)))
    found = guaranteed_list(night, 1000, tail_of(rng.random(99)), LEVEL)
    assert (found.n_listed, found.least_p_lens) == (0, None)
    assert (found.needed_beyond, found.n_beyond >= 20) == (100, True)
    short = guaranteed_list(night, 1000, tail_of(np.linspace(0, 0.9999, 498)), LEVEL)
    assert (short.n_beyond, short.needed_calibration) == (20, 499)
    assert short.n_listed == 0
    assert guaranteed_list(night, 1000, tail_of(np.linspace(0, 0.9999, 499)), LEVEL).n_listed >= 20


@pytest.mark.parametrize(("highest", "n_beyond"), [(1.0, 1), (0.5, 0)])
def test_none_or_one_beyond_needs_the_sample_of_one(highest, n_beyond):
    """A list of one row of 100 at 0.1 needs the p-value 0.001, which 999 objects give to a row beyond them."""
    night, calibration = np.float32([0.5] * 99 + [highest]), np.linspace(0, 0.9, 999)
    short = guaranteed_list(night, 100, tail_of(calibration[1:]), LEVEL)
    assert (short.n_listed, short.n_beyond, short.needed_calibration) == (0, n_beyond, 999)
    assert guaranteed_list(night, 100, tail_of(calibration), LEVEL).n_listed == n_beyond


def test_the_lowest_level_has_a_list_and_none_below(rng):
    night = np.float32(np.append(rng.random(980), 1 + rng.random(20)))
    tail = tail_of(rng.random(99))
    found = guaranteed_list(night, 1000, tail, LEVEL)
    lowest = found.lowest_level
    assert lowest is not None
    assert guaranteed_list(night, 1000, tail, lowest + 1e-9).n_listed == found.n_listed_at_lowest > 0
    assert guaranteed_list(night, 1000, tail, lowest - 1e-9).n_listed == 0


def test_a_night_of_non_lenses_has_no_level(rng):
    found = guaranteed_list(np.float32([0.1, 0.2]), 1000, tail_of(rng.random(99)), LEVEL)
    assert (found.lowest_level, found.n_listed_at_lowest, found.n_beyond) == (None, 0, 0)
    nothing = guaranteed_list(np.float32([]), 1000, tail_of(rng.random(99)), LEVEL)
    assert (nothing.n_listed, nothing.lowest_level, nothing.n_beyond) == (0, None, 0)


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1])
def test_a_level_is_a_fraction(level):
    with pytest.raises(ValueError, match="level must lie between 0 and 1, both excluded"):
        guaranteed_list(np.float32([0.5]), 1, tail_of([0.1]), level)


def test_fewer_tests_than_scores_are_refused():
    with pytest.raises(ValueError, match="n_tests must be at least the number of scores, 2, got 1"):
        guaranteed_list(np.float32([0.5, 0.6]), 1, tail_of([0.1]), LEVEL)
