"""Against the numbers that noise was drawn with, and against the same steps in plain numpy."""

import numpy as np
import pytest

from scanner.pixels import sky
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


def in_numpy(image):
    """Level and sigma of one image: masks instead of runs of sorted pixels."""
    sample = image[::2, ::2].ravel().astype(np.float64)
    if np.mean(sample != 0) >= 0.1:
        sample = sample[sample != 0]
    ordered = np.sort(sample)
    n_inside = max(int(len(ordered) / 3), 1)
    widths = ordered[n_inside:] - ordered[:-n_inside]
    start = widths.argmin()
    level = (ordered[start] + ordered[start + n_inside]) / 2
    sigma = max(widths[start] / (2 * sky._MODE_HALF_WIDTH), sky.MIN_SIGMA)
    for _ in range(4):
        offset = sample - level
        low_side = offset[(np.abs(offset) < 2.5 * sigma) & (offset < 0)]
        middle = offset[np.abs(offset) < 1.5 * sigma]
        level += middle.sum() / max(len(middle), 1)
        below = np.sqrt((low_side**2).sum() / max(len(low_side), 1)) / 0.953803
        sigma = below if below > 0 else sigma
    return level, sigma


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


@pytest.mark.parametrize("dtype", [np.float32, np.float64, ">f4"])
def test_the_same_steps_in_numpy(dtype):
    images = skies().astype(dtype)
    level, sigma = sky_level_and_sigma(images)
    expected = np.array([in_numpy(image) for image in images])
    assert sigma == pytest.approx(expected[:, 1], rel=1e-9)
    assert np.abs((level - expected[:, 0]) / np.maximum(expected[:, 1], 1e-9 * np.abs(expected[:, 0]))).max() < 1e-9


def test_images_of_one_pixel_and_batches_of_none():
    level, sigma = sky_level_and_sigma(np.full((1, 1, 1), 3, np.float32))
    assert (level[0], sigma[0]) == (3, sky.MIN_SIGMA)
    assert [len(found) for found in sky_level_and_sigma(np.empty((0, 10, 10), np.float32))] == [0, 0]
