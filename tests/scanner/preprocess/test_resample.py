"""Compares resampling operators with scikit-image and brute force."""

import numpy as np
import pytest
from skimage.transform import resize

from scanner.preprocess.resample import area_operator, coverage, regrid, resize_operator, resized


@pytest.mark.parametrize(("n_in", "n_out"), [(200, 66), (66, 200), (50, 101), (33, 33), (101, 50)])
def test_resize_equals_that_of_scikit_image(n_in, n_out):
    rng = np.random.default_rng(n_in)
    point = np.zeros((n_in, n_in), np.float32)
    point[n_in // 2, n_in // 3] = 1
    for image in (rng.normal(size=(n_in, n_in)).astype(np.float32), point):
        expected = resize(image.astype(np.float64), (n_out, n_out), anti_aliasing=n_out < n_in)
        np.testing.assert_allclose(regrid(image, resize_operator(n_in, n_out)), expected, atol=1e-6)


def test_a_batch_is_resized_image_by_image():
    images = np.random.default_rng(0).normal(size=(3, 20, 20)).astype(np.float32)
    operator = resize_operator(20, 12)
    np.testing.assert_array_equal(regrid(images, operator), np.stack([regrid(image, operator) for image in images]))


@pytest.mark.parametrize(("n_in", "n_out"), [(200, 66), (66, 200), (50, 101), (33, 33), (2, 5)])
@pytest.mark.parametrize("level", [0, 5])
def test_resizing_in_single_precision_is_accurate(n_in, n_out, level):
    """Errors are in units of an image's span, as after min-max scaling."""
    images = np.random.default_rng(n_in).normal(level, 1, (4, n_in, n_in)).astype(np.float32)
    images[1] *= 1e-9
    images[2, n_in // 2, n_in // 2] = 1e6
    operator = resize_operator(n_in, n_out)
    expected = operator @ images.astype(np.float64) @ operator.T
    span = np.ptp(expected, axis=(1, 2))[:, None, None]
    got = resized(images, n_out)
    assert got.dtype == np.float32
    assert (np.abs(got - expected) / span).max() < 2e-6


def test_coarser_by_three_is_a_block_sum():
    image = np.random.default_rng(1).normal(size=(60, 60)).astype(np.float32)
    blocks = image.astype(np.float64).reshape(20, 3, 20, 3).sum(axis=(1, 3))
    np.testing.assert_allclose(regrid(image, area_operator(60, 0.1, 20, 0.3)), blocks, atol=1e-6)
    np.testing.assert_allclose(regrid(image, area_operator(60, 0.1, 10, 0.3)), blocks[5:15, 5:15], atol=1e-6)


def test_finer_pixels_share_the_flux_of_a_pixel():
    image = np.random.default_rng(2).normal(size=(20, 20)).astype(np.float32)
    expected = np.repeat(np.repeat(image, 3, axis=0), 3, axis=1) / 9
    np.testing.assert_allclose(regrid(image, area_operator(20, 0.3, 60, 0.1)), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("n_in", "scale_in", "n_out", "scale_out"), [(40, 0.168, 80, 0.1), (41, 0.05, 30, 0.13), (30, 0.2, 90, 0.1)]
)
def test_flux_is_conserved_where_the_output_covers_the_input(n_in, scale_in, n_out, scale_out):
    image = np.random.default_rng(3).uniform(1, 2, (n_in, n_in)).astype(np.float32)
    regridded = regrid(image, area_operator(n_in, scale_in, n_out, scale_out))
    assert regridded.sum(dtype=np.float64) == pytest.approx(image.sum(dtype=np.float64), rel=1e-6)


@pytest.mark.parametrize(("n_in", "n_out"), [(300, 200), (281, 200), (100, 200), (101, 200), (200, 200), (66, 67)])
def test_equal_scales_move_whole_pixels(n_in, n_out):
    """The centre moves by at most half a pixel, every value is an input value or zero, and tiny scale errors have no effect."""
    operator = area_operator(n_in, 0.1, n_out, 0.1)
    assert set(np.unique(operator)) <= {0.0, 1.0}
    positions = operator @ np.arange(n_in)
    seen = operator.sum(axis=1) == 1
    shift = positions[seen] - np.arange(n_out)[seen]
    assert np.all(shift == shift[0])
    assert abs(shift[0] - (n_in - n_out) / 2) <= 0.5
    assert seen.sum() == min(n_in, n_out)
    np.testing.assert_array_equal(operator, area_operator(n_in, 0.1 * (1 + 1e-9), n_out, 0.1))


def test_coverage_is_the_covered_fraction_of_each_pixel():
    np.testing.assert_allclose(coverage(4, 0.1, 2, 0.3), [2 / 3, 2 / 3])
    np.testing.assert_allclose(coverage(2, 0.1, 4, 0.1), [0, 1, 1, 0])
    np.testing.assert_allclose(coverage(9, 0.1, 3, 0.3), [1, 1, 1])


def test_operators_refuse_impossible_scales_and_are_read_only():
    with pytest.raises(ValueError, match="must be > 0 arcsec, got 0"):
        area_operator(10, 0, 10, 0.1)
    with pytest.raises(ValueError, match="read-only"):
        area_operator(10, 0.1, 10, 0.1)[0, 0] = 2


def test_nearly_equal_scales_crop_and_others_interpolate():
    """The limit is 0.1 pixels over the image.

    24 pixels of 0.1003 arcsec are 0.072 pixels longer than 24 of 0.1, and 24 pixels of 0.1005 are 0.12 pixels longer.
    """
    np.testing.assert_array_equal(area_operator(30, 0.1, 24, 0.1003), np.eye(30)[3:27])
    np.testing.assert_array_equal(coverage(24, 0.1, 24, 0.1003), np.ones(24))
    np.testing.assert_array_equal(coverage(22, 0.1, 24, 0.1003), [0, *np.ones(22), 0])
    assert set(np.unique(area_operator(30, 0.1, 24, 0.1005))) > {0, 1}
    covered = coverage(24, 0.1, 24, 0.1005)
    # On each side, 12 * 0.005 of the width of the outermost pixel lies outside.
    np.testing.assert_allclose(covered[[0, -1]], 1 - 12 * 0.005 / 1.005, rtol=1e-9)
    np.testing.assert_allclose(covered[1:-1], 1, rtol=1e-12)


@pytest.mark.parametrize(
    ("n_in", "scale_in", "n_out", "scale_out"), [(20, 0.3, 60, 0.1), (41, 0.05, 10, 0.13), (7, 0.1, 9, 0.07)]
)
def test_coverage_is_a_fraction_that_never_exceeds_one(n_in, scale_in, n_out, scale_out):
    covered = coverage(n_in, scale_in, n_out, scale_out)
    edges = (np.arange(n_out + 1) - n_out / 2) * scale_out
    inside = np.diff(np.clip(edges, -n_in * scale_in / 2, n_in * scale_in / 2)) / scale_out
    np.testing.assert_allclose(covered, inside, atol=1e-12)
    assert covered.max() <= 1


@pytest.mark.parametrize("scales", [(-0.1, 0.1), (0.1, -0.1), (0.1, 0)])
def test_scales_must_be_positive(scales):
    with pytest.raises(ValueError, match=f"must be > 0 arcsec, got {scales[0]} and {scales[1]}"):
        area_operator(10, scales[0], 10, scales[1])


def test_each_axis_may_have_its_own_operator():
    image = np.arange(12, dtype=np.float32).reshape(3, 4)
    left, right = np.array([[1.0, 1, 0]]), np.array([[0, 0, 1.0, 0], [2, 0, 0, 0]])
    found = regrid(image, left, right)
    assert (found.tolist(), found.dtype) == ([[8, 8]], np.float32)
    assert image[0, 2] + image[1, 2] == 2 * (image[0, 0] + image[1, 0]) == 8


def test_images_of_the_right_size_stay_unchanged():
    images = np.random.default_rng(0).normal(size=(2, 5, 5))
    found = resized(images, 5)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, images.astype(np.float32))
