import numpy as np
import pytest
from scipy.stats import binomtest

from scanner.networks.nonlens_sample import NonLensTail
from training.evaluation.reliability import EDGES, reliability_bins

PREVALENCE = 0.01


def calibrated(rng, n_lenses, n_others):
    """Return p_lens that is right at the prevalence, and the truth, for as many lenses and others as are asked for."""
    x = np.append(rng.normal(3, 1, n_lenses), rng.normal(0, 1, n_others))
    odds = PREVALENCE / (1 - PREVALENCE) * np.exp(3 * x - 4.5)
    return odds / (1 + odds), np.arange(len(x)) < n_lenses


def test_right_probabilities_lie_on_the_diagonal(rng):
    p, is_lens = calibrated(rng, 20_000, 20_000)
    bins = [of for of in reliability_bins(p, is_lens, PREVALENCE) if of.n_lenses + of.n_nonlenses > 0]
    inside = [of.fraction.low <= of.mean_p <= of.fraction.high for of in bins]
    assert len(bins) > 12
    assert sum(inside) >= len(bins) - 2


def test_wrong_probabilities_leave_the_diagonal(rng):
    p, is_lens = calibrated(rng, 20_000, 20_000)
    odds = 3 * p / (1 - p)
    bins = [of for of in reliability_bins(odds / (1 + odds), is_lens, PREVALENCE) if min(of.n_lenses, of.n_nonlenses) > 50]
    assert len(bins) >= 4
    assert all(of.fraction.high < of.mean_p for of in bins)


def test_a_bin_by_hand():
    """Three lenses of ten and one other of forty lie in the bin: weights are 0.01 / 10 and 0.99 / 40."""
    p = np.array([0.02] * 3 + [0.5] * 7 + [0.03] + [1e-4] * 39)
    is_lens = np.arange(50) < 10
    (of,) = reliability_bins(p, is_lens, PREVALENCE, edges=np.array([0.01, 0.1]))
    lens, other = 0.01 / 10, 0.99 / 40
    assert (of.n_lenses, of.n_nonlenses) == (3, 1)
    assert of.fraction.value == pytest.approx(3 * lens / (3 * lens + other))
    assert of.mean_p == pytest.approx((3 * lens * 0.02 + other * 0.03) / (3 * lens + other))
    limits = binomtest(3, 4).proportion_ci(method="wilson")
    expected = [lens * share / (lens * share + other * (1 - share)) for share in limits]
    assert [of.fraction.low, of.fraction.high] == pytest.approx(expected)


def test_every_object_above_the_least_is_counted_once(rng):
    p = np.append(EDGES, rng.random(100))
    is_lens = rng.random(len(p)) < 0.5
    bins = reliability_bins(p, is_lens, PREVALENCE)
    assert sum(of.n_lenses for of in bins) == np.sum(is_lens & (p >= EDGES[0]))
    assert sum(of.n_nonlenses for of in bins) == np.sum(~is_lens & (p >= EDGES[0]))
    assert (bins[0].low, bins[-1].high) == (pytest.approx(1e-5), 1)


def test_bins_of_one_kind_alone_have_open_limits():
    edges = np.array([1e-3, 1e-2, 1e-1, 1.0])
    empty, others, lenses = reliability_bins(
        np.array([0.05, 0.06, 0.5]), np.array([False, False, True]), PREVALENCE, edges=edges
    )
    assert (empty.fraction.value, empty.fraction.low, empty.fraction.high) == (0, 0, 1)
    assert empty.mean_p == pytest.approx(10**-2.5)
    assert others.fraction.value == 0 < others.fraction.high < 1
    assert lenses.fraction.value == 1 > lenses.fraction.low > 0


def test_a_larger_sample_counts_where_it_is_whole(rng):
    p, is_lens = calibrated(rng, 500, 500)
    many, _ = calibrated(rng, 0, 20_000)
    tail = NonLensTail.of(np.float32(many), 0.01)
    plain, with_sample = (reliability_bins(p, is_lens, PREVALENCE, sample) for sample in (None, tail))
    for before, after in zip(plain, with_sample, strict=True):
        if before.low < 0.01:
            assert after == before
        else:
            assert after.n_nonlenses == int(np.sum((tail.p_lens >= before.low) & (tail.p_lens < before.high)))
            assert after.n_lenses == before.n_lenses
    small = NonLensTail.of(np.float32(many[:100]), 0.01)
    assert reliability_bins(p, is_lens, PREVALENCE, small) == plain
