"""Compares compiled regridding with the full matrices."""

import numpy as np
import pytest

from scanner.preprocess.regridding import axis_regrid, regrid_image
from scanner.preprocess.resample import area_operator, coverage, regrid


@pytest.mark.parametrize(
    ("n_in", "scale_in", "n_out", "scale_out"),
    [
        (198, 0.1, 66, 0.3),
        (200, 0.1, 200, 0.1),
        (300, 0.1, 200, 0.1),
        (90, 0.1, 200, 0.1),
        (66, 0.3, 200, 0.1),
        (77, 0.137, 66, 0.3),
    ],
)
def test_regridding_equals_the_matrix_product(n_in, scale_in, n_out, scale_out):
    rows = axis_regrid(n_in, scale_in, n_out, scale_out)
    columns = axis_regrid(n_in + 2, scale_in, n_out, scale_out)
    image = np.random.default_rng(0).normal(1, 1, (n_in, n_in + 2)).astype(np.float32)
    left, right = area_operator(n_in, scale_in, n_out, scale_out), area_operator(n_in + 2, scale_in, n_out, scale_out)
    np.testing.assert_allclose(regrid_image(image, rows, columns), regrid(image, left, right), rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(rows.coverage, coverage(n_in, scale_in, n_out, scale_out))


@pytest.mark.parametrize(
    ("grid", "used"),
    [
        ((300, 0.1, 200, 0.1), slice(50, 250)),
        ((200, 0.1, 66, 0.3), slice(1, 199)),
        ((90, 0.1, 200, 0.1), slice(0, 90)),
        ((300, 0.07, 100, 0.1), slice(78, 222)),
    ],
)
def test_the_input_pixels_that_are_used_are_known(grid, used):
    """10 arcsec are 142.9 pixels of 0.07 arcsec: parts of the first and the last pixel count."""
    assert axis_regrid(*grid).used == used


def test_edges_that_coincide_up_to_rounding_add_no_weight():
    assert axis_regrid(198, 0.1, 66, 0.3).weights.shape == (66, 3)
    assert axis_regrid(198, 0.1, 66, 0.3).crop_start is None


def test_a_crop_is_recognised():
    assert axis_regrid(300, 0.1, 200, 0.1).crop_start == 50
    assert axis_regrid(201, 0.1, 200, 0.10001).crop_start == 0
    assert axis_regrid(199, 0.1, 200, 0.1).crop_start is None
    image = np.full((210, 210), -0.0, np.float32)
    crop = axis_regrid(210, 0.1, 200, 0.1)
    assert np.signbit(regrid_image(image, crop, crop)).all()
