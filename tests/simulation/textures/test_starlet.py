from itertools import pairwise

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from simulation.textures.starlet import N_SCALES, scatter, starlet, without_noise


def test_differences_and_rest_sum_to_the_image(rng):
    image = rng.normal(5, 2, (60, 50)).astype(np.float32)
    differences, rest = starlet(image)
    assert len(differences) == N_SCALES
    np.testing.assert_allclose(sum(differences) + rest, image, atol=1e-5)
    assert all(abs(difference.mean()) < 0.05 for difference in differences)
    # Each smoothing is twice as wide as the one before.
    widths = [scatter(difference) for difference in differences]
    assert all(wider < 0.6 * narrow for narrow, wider in pairwise(widths))


def test_a_smooth_image_has_no_fine_differences():
    x, y = np.meshgrid(np.arange(64.0), np.arange(64.0))
    differences, _ = starlet((3 + 0.5 * x - 0.2 * y).astype(np.float32))
    assert max(np.abs(difference[20:-20, 20:-20]).max() for difference in differences[:3]) < 1e-4


@pytest.mark.parametrize("blur", [0.0, 1.0])
def test_noise_goes_and_bright_light_stays(rng, blur):
    """The noise of resampled images is correlated, which `blur` stands for."""
    axis = np.arange(200) - 99.5
    truth = 60 * np.exp(-(axis**2 + axis[:, None] ** 2) / (2 * 3.0**2)) + 30 * np.exp(
        -((axis - 9) ** 2 + axis[:, None] ** 2) / 8
    )
    noise = rng.normal(0, 1, truth.shape)
    noise = gaussian_filter(noise, blur) if blur else noise
    clean = without_noise((truth + noise).astype(np.float32), np.zeros(noise.shape, bool))
    is_sky = np.hypot(axis, axis[:, None]) > 40
    assert clean[is_sky].std() < 0.15 * noise.std()
    near = np.hypot(axis, axis[:, None]) < 15
    assert np.abs(clean - truth)[near].mean() < 0.85 * np.abs(noise[near]).mean()
    assert clean[near].sum() == pytest.approx(truth[near].sum(), rel=0.05)
    assert clean[100, 100] == pytest.approx(truth[100, 100], rel=0.06)


@pytest.mark.parametrize("share", [0.45, 0.55])
def test_noise_beside_masked_pixels_goes(rng, share):
    noise = rng.normal(0, 1, (200, 200)).astype(np.float32)
    is_masked = np.zeros(noise.shape, bool)
    is_masked[:, : round(share * 200)] = True
    clean = without_noise(np.where(is_masked, np.float32(0), noise), is_masked)
    assert clean[~is_masked].std() < 0.15 * noise.std()


def test_a_single_bright_pixel_is_noise_a_star_not(rng):
    image = rng.normal(0, 1, (100, 100))
    image[30, 30] += 20
    star = np.zeros_like(image)
    star[70, 70] = 20
    image += 20 / gaussian_filter(star, 1.3).max() * gaussian_filter(star, 1.3)
    clean = without_noise(image.astype(np.float32), np.zeros(image.shape, bool))
    assert clean[30, 30] < 6
    assert clean[70, 70] > 15


def test_scatter_ignores_a_few_bright_pixels(rng):
    image = rng.normal(3, 2, (100, 100))
    image[:10] += 1e4
    assert scatter(image) == pytest.approx(2, rel=0.2)
