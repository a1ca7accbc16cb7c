"""Tests of sorting pixels, whichever sort is the faster on this processor."""

import numpy as np
import pytest

from scanner.preprocess import sorted_pixels as module
from scanner.preprocess.digit_sort import sorted_by_digits
from scanner.preprocess.sorted_pixels import sorted_by_numpy, sorted_pixels


def ordered(images, step):
    some = images[:, ::step, ::step].astype(images.dtype.newbyteorder("="))
    return np.array([sorted(image.ravel().tolist()) for image in some]).reshape(len(some), -1 if len(some) else 0)


@pytest.fixture(params=[sorted_by_numpy, sorted_by_digits], ids=["numpy", "digits"])
def faster(request, monkeypatch):
    """Let one of both sorts be the faster for float32."""
    monkeypatch.setattr(module, "_faster_of_float32", lambda: request.param)


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">f8", ">i2"])
@pytest.mark.parametrize(
    ("shape", "step"), [((3, 40, 40), 2), ((2, 33, 65), 2), ((2, 9, 7), 3), ((2, 6, 5), 1), ((4, 1, 1), 2)]
)
def test_every_second_or_third_pixel_is_sorted(rng, faster, shape, step, dtype):
    images = (50 * rng.normal(size=shape)).astype(dtype)
    before = images.copy()
    np.testing.assert_array_equal(sorted_pixels(images, step), ordered(images, step))
    np.testing.assert_array_equal(images, before)


def test_no_images_give_none(faster):
    assert sorted_pixels(np.empty((0, 8, 6), np.float32), 2).shape == (0, 12)


def test_not_a_number_comes_last(faster):
    images = np.array([[[np.nan, 2.0, -np.inf, np.inf, -1.0]]], np.float32)
    np.testing.assert_array_equal(sorted_pixels(images, 1), [[-np.inf, -1, 2, np.inf, np.nan]])


def test_a_part_of_larger_images_is_sorted(rng, faster):
    images = rng.normal(size=(2, 20, 20)).astype(np.float32)
    np.testing.assert_array_equal(sorted_by_digits(images[:, 3:17, 2:9], 2), ordered(images[:, 3:17, 2:9], 2))


@pytest.mark.parametrize(("of_numpy", "of_digits", "chosen"), [(1e-3, 2e-3, 0), (2e-3, 1e-3, 1)])
def test_the_faster_sort_is_taken(monkeypatch, of_numpy, of_digits, chosen):
    seconds = {sorted_by_numpy: of_numpy, sorted_by_digits: of_digits}
    monkeypatch.setattr(module, "_least_seconds", lambda sort, _: seconds[sort])
    module._faster_of_float32.cache_clear()
    try:
        assert module._faster_of_float32() is (sorted_by_numpy, sorted_by_digits)[chosen]
    finally:
        module._faster_of_float32.cache_clear()


def test_the_least_of_the_measured_seconds_counts(monkeypatch):
    clock = iter([0.0, 5.0, 10.0, 12.0, 20.0, 23.0])
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(clock))
    seen = []
    assert module._least_seconds(lambda images, step: seen.append((images, step)), "noise") == 2.0
    assert seen == [("noise", 2)] * 4
