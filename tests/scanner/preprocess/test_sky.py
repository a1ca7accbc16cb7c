"""Compares sky level and sigma with those of simulated noise, and with numbers computed by hand."""

import math

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import norm

from scanner.preprocess import sky
from scanner.preprocess.sky import MIN_SIGMA, sky_level_and_sigma


def noise(n=60, level=0.3, sigma=2.0, seed=0):
    return np.random.default_rng(seed).normal(level, sigma, (n, 100, 100)).astype(np.float32)


def test_level_and_sigma_of_plain_noise_are_found():
    level, sigma = sky_level_and_sigma(noise())
    assert level.mean() == pytest.approx(0.3, abs=0.03)
    assert sigma.mean() == pytest.approx(2.0, rel=0.01)
    assert level.std() < 0.1
    assert sigma.std() < 0.1


def test_light_over_half_the_stamp_has_little_effect():
    images = noise()
    images[:, :50] += np.abs(np.random.default_rng(1).normal(0, 20, images[:, :50].shape)).astype(np.float32)
    level, sigma = sky_level_and_sigma(images)
    # The level is a seventh of a sigma too high, and the sigma a fifteenth too large.
    assert level.mean() == pytest.approx(0.3, abs=0.33)
    assert level.std() < 0.12
    assert sigma.mean() == pytest.approx(2.0, rel=0.08)


def test_masked_pixels_and_one_star_have_little_effect():
    images = noise(level=5.0)
    expected = sky_level_and_sigma(images)
    images[:, 40:60, 40:60] = 0
    images[:, 10, 10] = 1e8
    images[:, 11, 10] = -1e8
    for got, want in zip(sky_level_and_sigma(images), expected, strict=True):
        assert np.abs(got - want).max() < 0.15


def test_images_of_a_batch_do_not_affect_each_other():
    images = noise(3)
    images[1] *= 1e6
    together = sky_level_and_sigma(images)
    for i in range(3):
        alone = sky_level_and_sigma(images[i : i + 1])
        assert (together[0][i], together[1][i]) == (alone[0][0], alone[1][0])


def test_masked_or_constant_images_have_a_positive_sigma():
    images = np.zeros((3, 32, 32), np.float32)
    images[1, 3, 3] = 7
    images[2] = 4
    level, sigma = sky_level_and_sigma(images)
    assert np.isfinite(level).all()
    assert (sigma > 0).all()


def skies():
    rng = np.random.default_rng(5)
    images = noise(12)
    images[1, :50] += np.abs(rng.normal(0, 20, images[1, :50].shape)).astype(np.float32)
    images[2, 40:60, 40:60] = 0
    images[3, ::2, ::2][rng.random((50, 50)) < 0.93] = 0
    images[4, 10, 10], images[4, 12, 10] = 1e8, -1e8
    images[5] += 1e4
    images[6] *= 1e-12
    images[7] = np.round(images[7])
    images[8] = 0
    images[9] = 7
    images[10, :, :70] = 3
    images[11] *= 1e25
    return images


@pytest.mark.parametrize("dtype", [np.float64, ">f4"])
def test_results_do_not_depend_on_the_stored_type(dtype):
    images = skies()
    for got, expected in zip(sky_level_and_sigma(images.astype(dtype)), sky_level_and_sigma(images), strict=True):
        assert got == pytest.approx(expected, rel=1e-9, abs=0)


def test_the_order_of_the_pixels_does_not_matter():
    images = skies()
    shuffled = images.copy()
    sampled = images[:, ::2, ::2].reshape(len(images), -1)
    shuffled[:, ::2, ::2] = np.random.default_rng(1).permuted(sampled, axis=1).reshape(len(images), 50, 50)
    # Pixels between the sampled ones have no effect.
    shuffled[:, 1::2] = 1e9
    shuffled[:, :, 1::2] = np.nan
    for got, expected in zip(sky_level_and_sigma(shuffled), sky_level_and_sigma(images), strict=True):
        assert np.array_equal(got, expected)


def sky_of(values):
    """Return level and sigma of one image with these values as its sampled pixels."""
    values = np.asarray(values, np.float64)
    image = np.full((1, 2 * len(values) - 1, 1), 1e6)
    image[0, ::2, 0] = values
    level, sigma = sky_level_and_sigma(image)
    return level[0], sigma[0]


RMS_WITHIN = 0.953803
HALF_WIDTH = 0.4307273
"""Half width, in sigma, of the interval about the mean that holds a third of Gaussian noise."""


def test_sky_of_25_numbers_equals_the_hand_calculation():
    """The densest third of 8, 9, ..., 32 is the first: 8-16, so that the estimate is 12 +- 8 / (2 * 0.4307) = 12 +- 9.287.

    1. Below 12 lie 8-11: sqrt((1 + 4 + 9 + 16) / 4) = 2.739; within 1.5 sigma 8-25: level 16.5, sigma 2.739 / 0.9538 = 2.871.
    2. Down to 9.32 lie 10-16: sqrt(4 * (0.5**2 + ... + 6.5**2) / 28) = 4.031; within 4.31 13-20: level 16.5, sigma 4.226.
    3. Down to 5.93 lie 8-16: sqrt(242.25 / 9) = 5.188; within 6.34 11-22: level 16.5, sigma 5.439.
    4. The same 9 below; within 8.16 9-24: nothing changes.
    """
    rng = np.random.default_rng(0)
    for copies in (1, 100):
        level, sigma = sky_of(rng.permutation(np.repeat(np.arange(8, 33), copies)))
        assert level == pytest.approx(16.5, abs=1e-12)
        assert sigma == pytest.approx(math.sqrt(242.25 / 9) / RMS_WITHIN, rel=1e-12)


def test_a_value_of_more_than_a_third_is_the_sky():
    """The densest five of fifteen have no width: the estimate is 103 +- 1e-30, and no other value lies in that range."""
    assert sky_of(np.repeat([100, 101, 102, 103], [1, 2, 4, 8])) == (103, MIN_SIGMA)


@pytest.mark.parametrize(("n_left", "is_sky"), [(2, False), (1, True)])
def test_zeros_are_masked_unless_more_than_nine_tenths(n_left, is_sky):
    """The image has twenty pixels."""
    level, _ = sky_of([5.0] * n_left + [0.0] * (20 - n_left))
    assert level == (0 if is_sky else 5)


def test_masked_pixels_are_left_out_among_any_values():
    values = np.arange(-12, 13) - 0.25
    assert sky_of([*values, 0, 0, 0]) == sky_of(values)
    assert sky_of([*(values + 40), 0, 0, 0]) == sky_of(values + 40)
    assert sky_of([*(values - 40), 0, 0, 0]) == sky_of(values - 40)


@pytest.mark.parametrize(("share", "at"), [(0, 0), (0.1, 50), (0.3, 9), (0.5, 1000)])
def test_ideal_noise_is_found_despite_much_brighter_light(share, at):
    """The noise has exactly the quantiles of a normal distribution, level 7 and sigma 3; a fraction of pixels holds light."""
    n = 2500
    noise = 7 + 3 * ndtri((np.arange(n) + 0.5) / n)
    n_light = round(n * share / (1 - share))
    level, sigma = sky_of([*noise, *(7 + 3 * (at + np.linspace(0, 5, n_light)))])
    assert level == pytest.approx(7, abs=0.03)
    # The code divides the scatter within 2.5 sigma by a number that is 0.08 % too small.
    inside = math.sqrt(1 - 5 * norm.pdf(2.5) / (2 * norm.cdf(2.5) - 1))
    assert sigma == pytest.approx(3 * inside / RMS_WITHIN, rel=0.005)


def test_first_estimate_assumes_the_width_of_gaussian_noise():
    """The lower two of three numbers are nearest: no number lies in the clipped range, so that the first estimate stays."""
    assert 2 * norm.cdf(HALF_WIDTH) - 1 == pytest.approx(1 / 3, abs=1e-7)
    level, sigma = sky_of([10, 12, 1000])
    assert level == pytest.approx(11, abs=1e-12)
    assert sigma == pytest.approx(1 / RMS_WITHIN, rel=1e-12)


@pytest.mark.parametrize(("factor", "offset"), [(2.0, 0.0), (1.0, 512.0), (2.0**-60, 0.0), (0.5, -64.0)])
def test_level_and_sigma_follow_units_and_zero_points(factor, offset):
    values = np.random.default_rng(4).normal(0.3, 2, 2500)
    level, sigma = sky_of(values)
    assert sky_of(values * factor + offset) == pytest.approx((level * factor + offset, sigma * factor), rel=1e-9)


def test_images_of_one_pixel_and_empty_batches_work():
    level, sigma = sky_level_and_sigma(np.full((1, 1, 1), 3, np.float32))
    assert (level[0], sigma[0]) == (3, MIN_SIGMA)
    assert [len(found) for found in sky_level_and_sigma(np.empty((0, 10, 10), np.float32))] == [0, 0]


def test_sums_have_the_bits_of_the_order_written(rng):
    """Otherwise a worker that compiles the loops scores other digits than one that finds them in the cache."""
    values, terms = np.sort(rng.normal(size=2500)), np.empty(2500)
    first = sky._mode(values, terms)
    assert sky._clipped(values, *first, terms) == sky._clipped.py_func(values, *first, terms)


@pytest.mark.parametrize("n", [0, 1, 2, 7, 8, 9, 15, 16, 17, 100, 2499])
def test_halved_terms_have_their_sum_and_least(rng, n):
    terms = rng.normal(size=2500)
    assert sky._total(terms.copy(), n) == pytest.approx(math.fsum(terms[:n]), abs=1e-12)
    assert sky._least(terms.copy(), n) == terms[:n].min(initial=np.inf)


@pytest.mark.parametrize("n", [0, 1, 2, 7, 8, 9, 10, 15, 16, 17, 100, 2499])
def test_sums_over_the_sky_equal_their_halved_terms(rng, n):
    values, memory = rng.normal(size=n).astype(np.float32), np.empty(2500)
    above = values - np.float64(0.3)
    assert sky._sum_above(0.3, values, memory) == sky._total.py_func(above.copy(), n)
    assert sky._sum_of_squares(0.3, values, memory) == sky._total.py_func(above**2, n)
    highs = values + rng.uniform(0, 1, n)
    assert sky._least_width(values, highs, memory) == (highs - values).min(initial=np.inf)


def test_the_first_estimate_leaves_out_pixels_without_numbers(rng):
    """NaN sorts last, and more than half of the widths are NaN."""
    values = np.sort(rng.normal(size=290))
    spoiled = np.concatenate([values, [np.inf], np.full(170, np.nan)])
    spoiled[:2] = -np.inf
    n_inside = len(spoiled) // 3
    widths = spoiled[n_inside:] - spoiled[:-n_inside]
    first = int(np.nanargmin(widths))
    level, _ = sky._mode(spoiled, np.empty(len(spoiled)))
    assert level == (spoiled[first] + spoiled[first + n_inside]) / 2
