"""Compares banded products with dense ones in float64."""

import numpy as np
import pytest

from scanner.preprocess.banded import banded, both_axes


def matrix(n_out, n_in, width, seed=0):
    """Return a matrix with `width` numbers in each row along the diagonal, and zeros elsewhere."""
    rng = np.random.default_rng(seed)
    made = np.zeros((n_out, n_in))
    for y in range(n_out):
        start = round(y * (n_in - width) / max(n_out - 1, 1))
        made[y, start : start + width] = rng.uniform(0.1, 1, width)
    return made


@pytest.mark.parametrize(
    ("n_out", "n_in", "width"), [(7, 9, 1), (30, 10, 2), (10, 30, 5), (20, 20, 9), (5, 3, 3), (8, 8, 8), (1, 1, 1)]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, ">f4"])
def test_both_axes_equals_a_dense_product(n_out, n_in, width, dtype):
    operator = matrix(n_out, n_in, width)
    images = np.random.default_rng(1).normal(size=(6, n_in, n_in)).astype(dtype)
    expected = operator @ images.astype(np.float64) @ operator.T
    got = both_axes(banded(operator), images)
    assert got.dtype == np.float32
    assert np.abs(got - expected).max() < 2e-6 * np.abs(expected).max()


@pytest.mark.parametrize(("n_out", "n_in", "width"), [(21, 30, 9), (80, 100, 33), (66, 200, 8), (200, 66, 4)])
def test_an_image_has_the_same_bits_anywhere_in_batches(n_out, n_in, width):
    """Images lie side by side while they are computed: another place may be in another part of the vector loop."""
    operator = banded(matrix(n_out, n_in, width))
    images = np.random.default_rng(2).normal(size=(9, n_in, n_in)).astype(np.float32)
    alone = np.concatenate([both_axes(operator, images[i : i + 1]) for i in range(9)])
    for first, last in ((0, 9), (0, 2), (1, 4), (2, 6), (3, 9)):
        np.testing.assert_array_equal(both_axes(operator, images[first:last]), alone[first:last])
    assert both_axes(operator, images[:0]).shape == (0, n_out, n_out)


def test_rows_of_zeros_and_zeros_within_the_band_work():
    operator = np.array([[0, 0, 0, 0], [0, 2, 0, 1], [0, 0, 0, 3.0]])
    image = np.arange(16.0).reshape(1, 4, 4)
    np.testing.assert_array_equal(both_axes(banded(operator), image)[0], operator @ image[0] @ operator.T)


def test_images_that_are_not_square_are_refused():
    with pytest.raises(ValueError, match="square, got 4 x 5 pixels"):
        both_axes(banded(np.eye(5)), np.zeros((1, 4, 5)))
