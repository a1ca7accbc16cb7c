"""Tests of the loops against numpy in double precision, pixel by pixel, and of bfloat16 against torch."""

import numpy as np
import pytest
import torch

from training import activation_kernels

SHAPE = (2, 5, 7, 3)
"""Images, rows, columns and channels: odd sides leave a row and a column without a partner."""


def stored(values, dtype):
    """Return float32 values in a stored type, and what they then are."""
    if dtype == np.float32:
        return values, values
    bits = torch.from_numpy(values).to(torch.bfloat16)
    return bits.view(torch.uint16).numpy(), bits.float().numpy()


def read(array):
    """Return stored activations as float32."""
    return torch.from_numpy(array).view(torch.bfloat16).float().numpy() if array.dtype == np.uint16 else array


@pytest.fixture(params=[np.float32, np.uint16], ids=["float32", "bfloat16"])
def case(request, rng):
    """Return activations, a gradient and what both are in double precision, with a function that makes empty results."""
    made = {}
    for name in ("x", "gradient", "pooled_gradient"):
        shape = (2, 2, 3, 3) if name == "pooled_gradient" else SHAPE
        made[name], exact = stored(rng.normal(size=shape).astype(np.float32), request.param)
        made[f"{name}_exact"] = exact.astype(np.float64)
    made["empty"] = lambda like: np.full(like.shape, 9, request.param)
    made["rtol"] = 1e-5 if request.param == np.float32 else 4e-3
    return made


def per_channel(rng, n=3):
    return rng.normal(size=(n, 3)).astype(np.float32)


def rectified(case, scale, shift):
    return np.maximum(case["x_exact"] * scale + shift, 0)


def largest(values):
    """Return the largest of each two by two pixels and its place 2 y + x, or `NONE` where all are 0, with plain loops."""
    n, n_y, n_x, n_channels = values.shape
    out = np.zeros((n, n_y // 2, n_x // 2, n_channels))
    places = np.full(out.shape, activation_kernels.NONE)
    for i, y, x, c in np.ndindex(out.shape):
        four = values[i, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2, c].ravel()
        out[i, y, x, c] = four.max()
        if four.max() > 0:
            places[i, y, x, c] = four.argmax()
    return out, places


def unpooled(gradient, places):
    """Return the gradient `[image, y, x, channel]` of the pixels that were pooled."""
    spread = np.zeros(SHAPE)
    for i, y, x, c in np.ndindex(gradient.shape):
        if places[i, y, x, c] != activation_kernels.NONE:
            down, right = divmod(int(places[i, y, x, c]), 2)
            spread[i, 2 * y + down, 2 * x + right, c] = gradient[i, y, x, c]
    return spread


def test_sums_of_each_image_and_channel(case):
    sums, squares = np.full((2, 2, 3), 9.0)
    activation_kernels.add_sums(case["x"], sums, squares)
    assert sums == pytest.approx(case["x_exact"].sum((1, 2)), abs=1e-5)
    assert squares == pytest.approx((case["x_exact"] ** 2).sum((1, 2)), rel=1e-5)


def test_normalised_pixels_are_rectified(case, rng):
    scale, shift = per_channel(rng, 2)
    out = case["empty"](case["x"])
    activation_kernels.normalise(scale, shift, case["x"], out)
    np.testing.assert_allclose(read(out), rectified(case, scale, shift), rtol=case["rtol"], atol=1e-6)


def test_the_largest_of_four_pixels_and_its_place(case, rng):
    scale, shift = per_channel(rng, 2)
    shift -= 1
    expected, places = largest(rectified(case, scale, shift))
    assert set(np.unique(places)) == {0, 1, 2, 3, activation_kernels.NONE}
    out, found = case["empty"](expected), np.full(expected.shape, 9, np.uint8)
    activation_kernels.normalise_and_pool(scale, shift, case["x"], out, found)
    np.testing.assert_allclose(read(out), expected, rtol=case["rtol"], atol=1e-6)
    np.testing.assert_array_equal(found, places)


def test_gradients_of_rectified_pixels(case, rng):
    scale, shift = per_channel(rng, 2)
    out = case["empty"](case["x"])
    activation_kernels.normalise(scale, shift, case["x"], out)
    exact = np.where(rectified(case, scale, shift) > 0, case["gradient_exact"], 0)
    sums, products = np.full((2, 2, 3), 9.0)
    activation_kernels.add_gradients(case["x"], out, case["gradient"], sums, products)
    assert sums == pytest.approx(exact.sum((1, 2)), abs=1e-5)
    assert products == pytest.approx((exact * case["x_exact"]).sum((1, 2)), abs=1e-5)
    factor, slope, offset = per_channel(rng)
    spread = case["empty"](case["x"])
    activation_kernels.spread_gradients(factor, slope, offset, case["x"], out, case["gradient"], spread)
    np.testing.assert_allclose(read(spread), factor * exact + slope * case["x_exact"] + offset, rtol=case["rtol"], atol=1e-5)


def test_gradients_of_pooled_pixels(case, rng):
    scale, shift = per_channel(rng, 2)
    _, places = largest(rectified(case, scale, shift))
    exact = unpooled(case["pooled_gradient_exact"], places)
    sums, products = np.full((2, 2, 3), 9.0)
    activation_kernels.add_pooled_gradients(case["x"], places.astype(np.uint8), case["pooled_gradient"], sums, products)
    assert sums == pytest.approx(exact.sum((1, 2)), abs=1e-5)
    assert products == pytest.approx((exact * case["x_exact"]).sum((1, 2)), abs=1e-5)
    factor, slope, offset = per_channel(rng)
    spread = case["empty"](case["x"])
    activation_kernels.spread_pooled_gradients(
        factor, slope, offset, case["x"], places.astype(np.uint8), case["pooled_gradient"], spread
    )
    np.testing.assert_allclose(read(spread), factor * exact + slope * case["x_exact"] + offset, rtol=case["rtol"], atol=1e-5)


def test_a_rectified_zero_has_no_sign_and_no_gradient():
    zero, scale = np.zeros(1, np.float32), -np.ones(1, np.float32)
    for dtype in (np.float32, np.uint16):
        x, one = np.zeros((1, 1, 1, 1), dtype), stored(np.ones((1, 1, 1, 1), np.float32), dtype)[0]
        out, spread = np.ones_like(x), np.ones_like(x)
        activation_kernels.normalise(scale, -zero, x, out)
        assert out.tobytes() == bytes(out.nbytes)
        activation_kernels.spread_gradients(scale, zero, zero, x, out, one, spread)
        assert read(spread).item() == 0


def row_of(bits):
    """Return an array of one image, one row and one channel."""
    return np.ascontiguousarray(bits).reshape(1, 1, -1, 1)


ONE, ZERO = np.ones(1, np.float32), np.zeros(1, np.float32)


def test_every_bfloat16_is_read_and_written_unchanged():
    """Gradients of all finite numbers pass a step that adds nothing."""
    numbers = np.arange(2**16, dtype=np.uint16)
    numbers = numbers[np.isfinite(read(numbers))]
    seen, spread = row_of(np.full(len(numbers), 0x3F80, np.uint16)), row_of(np.zeros_like(numbers))
    activation_kernels.spread_gradients(ONE, ZERO, ZERO, seen, seen, row_of(numbers), spread)
    np.testing.assert_array_equal(read(spread).ravel(), read(numbers))


def test_floats_are_rounded_to_nearest_bfloat16_ties_to_even(rng):
    ties = ((rng.integers(0x3000, 0x5000, 500) << 16) + 0x8000).astype(np.uint32).view(np.float32)
    values = np.concatenate([ties, rng.normal(size=500).astype(np.float32), np.array([np.inf, np.nan], np.float32)])
    for value in values:
        out = np.zeros((1, 1, 1, 1), np.uint16)
        activation_kernels.normalise(ZERO, np.array([value]), np.zeros_like(out), out)
        expected = torch.tensor(value).clamp(min=0).to(torch.bfloat16).float().numpy()
        np.testing.assert_array_equal(read(out).ravel(), expected)
