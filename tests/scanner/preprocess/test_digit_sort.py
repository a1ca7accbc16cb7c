"""Tests of sorting by digits, beside numpy's sort."""

import numpy as np
import pytest

from scanner.preprocess.digit_sort import sorted_by_digits


def by_numpy(images, step):
    some = images[:, ::step, ::step].astype(images.dtype.newbyteorder("="))
    return np.sort(some.reshape(len(some), some.shape[1] * some.shape[2]), axis=1)


@pytest.mark.parametrize(
    ("shape", "step"), [((3, 100, 100), 2), ((2, 33, 65), 2), ((2, 9, 7), 3), ((4, 1, 1), 2), ((0, 8, 8), 2)]
)
def test_order_is_that_of_numpy(rng, shape, step):
    images = (50 * rng.normal(size=shape)).astype(np.float32)
    np.testing.assert_array_equal(sorted_by_digits(images, step), by_numpy(images, step))


def test_numbers_of_every_size_and_sign_are_in_order(rng):
    """Bits at random are floats of every exponent, denormal ones too; some are infinite or NaN."""
    images = rng.integers(0, 2**32, (3, 64, 64), dtype=np.uint32).view(np.float32)
    images[0, 0, :4] = np.inf, -np.inf, 1e-45, -1e-45
    images[1, 0, :2] = np.array([0x7FC00001, 0xFFC00001], np.uint32).view(np.float32)
    assert np.isnan(images[1, 0, :2]).all()
    np.testing.assert_array_equal(sorted_by_digits(images, 1), by_numpy(images, 1))


def test_zeros_of_both_signs_lie_between_the_others():
    images = np.array([[[0.0, -0.0, 1.0], [-0.0, -1.0, 0.0]]], np.float32)
    np.testing.assert_array_equal(sorted_by_digits(images, 1), [[-1, 0, 0, 0, 0, 1]])


def test_images_are_not_changed(rng):
    images = rng.normal(size=(2, 8, 8)).astype(np.float32)
    before = images.copy()
    sorted_by_digits(images, 1)
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize("level", [0, 1, -1000, 1e6])
def test_the_level_of_a_sky_does_not_matter(rng, level):
    """Beside a high level, the upper digits of all numbers are equal, and the lowest digit orders them."""
    images = (rng.normal(size=(3, 60, 60)) + level).astype(np.float32)
    images[1, :30] = 0
    np.testing.assert_array_equal(sorted_by_digits(images, 2), by_numpy(images, 2))


def test_numbers_with_equal_upper_digits_are_in_order(rng):
    """In each of sixteen groups the upper two digits are equal, but too few numbers share a high digit to count the lowest."""
    groups = np.arange(16, dtype=np.uint32) << np.uint32(23)
    bits = groups[:, None] | rng.integers(0, 2**12, (16, 16), dtype=np.uint32)
    images = rng.permuted(bits.reshape(-1)).reshape(1, 16, 16).view(np.float32)
    np.testing.assert_array_equal(sorted_by_digits(images, 1), by_numpy(images, 1))
