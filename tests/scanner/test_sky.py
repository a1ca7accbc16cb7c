"""Against the numbers that noise was drawn with."""

import numpy as np
import pytest

from scanner.pixels.sky import sky_level_and_sigma


def noise(n=60, level=0.3, sigma=2.0, seed=0):
    return np.random.default_rng(seed).normal(level, sigma, (n, 100, 100)).astype(np.float32)


def test_plain_sky():
    level, sigma = sky_level_and_sigma(noise())
    assert level.mean() == pytest.approx(0.3, abs=0.03)
    assert sigma.mean() == pytest.approx(2.0, rel=0.01)
    assert level.std() < 0.1
    assert sigma.std() < 0.1


def test_light_over_half_the_stamp_hardly_matters():
    images = noise()
    images[:, :50] += np.abs(np.random.default_rng(1).normal(0, 20, images[:, :50].shape)).astype(np.float32)
    level, sigma = sky_level_and_sigma(images)
    assert level.mean() == pytest.approx(0.3, abs=0.7)
    assert sigma.mean() == pytest.approx(2.0, rel=0.2)


def test_masked_pixels_and_one_star_do_not_matter():
    images = noise(level=5.0)
    expected = sky_level_and_sigma(images)
    images[:, 40:60, 40:60] = 0
    images[:, 10, 10] = 1e8
    images[:, 11, 10] = -1e8
    for got, want in zip(sky_level_and_sigma(images), expected, strict=True):
        assert np.abs(got - want).max() < 0.15


def test_each_image_is_on_its_own_whatever_else_is_in_the_batch():
    images = noise(3)
    images[1] *= 1e6
    together = sky_level_and_sigma(images)
    for i in range(3):
        alone = sky_level_and_sigma(images[i : i + 1])
        assert (together[0][i], together[1][i]) == (alone[0][0], alone[1][0])


def test_images_of_nothing_but_masks_or_one_value_have_a_sigma_above_zero():
    images = np.zeros((3, 32, 32), np.float32)
    images[1, 3, 3] = 7
    images[2] = 4
    level, sigma = sky_level_and_sigma(images)
    assert np.isfinite(level).all()
    assert (sigma > 0).all()
