"""Compares each scale with a loop over pixels, and tests that irrelevant changes have no effect."""

import math

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.ndimage import gaussian_filter

from scanner.preprocess.channel import Channel, channels
from scanner.preprocess.channels import sky_units, value_range, write_scaled
from scanner.preprocess.sky import sky_level_and_sigma
from tests.scanner.scaling import min_max, on_scale, scaled

DETAIL_OF_BRIGHTEST = 2e-5
"""Error of float32 rounding in 1e4 sky sigma of light less its blur, in units of its shot noise of 36."""
SKY_SCALINGS = ("sky_asinh", "centre_asinh", "detail")


@pytest.fixture
def images():
    """Return galaxies of different brightness on a sky of sigma 0.5."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:100, :100] - 49.5
    galaxy = np.exp(-np.hypot(x, y) / 6)
    return (rng.normal(0.1, 0.5, (5, 100, 100)) + np.array([0, 5, 50, 500, 5000])[:, None, None] * galaxy).astype(np.float32)


def test_sky_asinh_matches_the_formula_pixel_by_pixel(images):
    level, sigma = sky_level_and_sigma(images)
    got = on_scale("sky_asinh", sky_units(images))
    for i, y, x in [(0, 0, 0), (2, 50, 50), (3, 49, 60), (4, 50, 49)]:
        expected = math.asinh((float(images[i, y, x]) - level[i]) / sigma[i] / 3)
        assert got[i, y, x] == pytest.approx(min(max(expected, -2), 6), abs=1e-5)


def test_centre_asinh_does_not_depend_on_brightness():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:100, :100] - 49.5
    galaxy = 1000 * np.exp(-np.hypot(x, y) / 6)
    sky = rng.normal(0, 0.01, (1, 100, 100))
    images = ((factor * (sky + galaxy)).astype(np.float32) for factor in (1.0, 30.0))
    faint, bright = (on_scale("centre_asinh", sky_units(image)) for image in images)
    assert np.abs(faint - bright).max() < 1e-3
    # The ninth brightest pixel of the middle has the value asinh(30).
    assert np.sort(faint[0, 35:65, 35:65].ravel())[-9] == pytest.approx(math.asinh(30), abs=1e-3)


def test_detail_is_image_less_blur_over_local_noise(images):
    units = sky_units(images)
    got = on_scale("detail", units)
    for i in range(len(images)):
        smooth = gaussian_filter(units[i].astype(float), 4.0, mode="nearest")
        expected = np.arcsinh((units[i] - smooth) / (2 * np.sqrt(1 + np.maximum(smooth, 0) / 30)))
        assert np.abs(got[i] - np.clip(expected, -3, 5)).max() < (1e-5 if i < 4 else DETAIL_OF_BRIGHTEST)


LEVEL = 16.5
SIGMA = math.sqrt(242.25 / 9) / 0.953803
"""Sigma of a sky whose pixels hold each of 8, 9, ..., 32 equally often, computed by hand in test_sky.py."""


@pytest.fixture
def on_known_sky(images):
    """Return the galaxies with a sky of known level and sigma in every second pixel along each axis, the only ones sampled.

    The third image has a masked patch that does not touch the sky's pixels.
    """
    images[2, 21:30:2, 60:80] = 0
    images[:, ::2, ::2] = np.random.default_rng(7).permuted(np.tile(np.arange(8, 33), (5, 100)), axis=1).reshape(5, 50, 50)
    return images


def in_numpy(name, images, unit=1.0):
    """Return the formulas in float64, for a sky of known level and sigma in that unit, with other code for blurs and peaks."""
    images = images.astype(np.float64)
    if name == "min_max":
        low, high = (pick(images, axis=(1, 2), keepdims=True) for pick in (np.min, np.max))
        return (images - low) / (high - low)
    units = np.where(images == 0, 0, (images / unit - LEVEL) / SIGMA)
    if name == "sky_asinh":
        return np.clip(np.arcsinh(units / 3), -2, 6)
    if name == "centre_asinh":
        centre = np.sort(units[:, 35:65, 35:65].reshape(len(units), -1), axis=1)[:, -9]
        return np.clip(np.arcsinh(30 * units / np.maximum(centre, 10)[:, None, None]), -2, 6)
    smooth = np.stack([gaussian_filter(unit, 4.0, mode="nearest") for unit in units])
    return np.clip(np.arcsinh((units - smooth) / (2 * np.sqrt(1 + np.maximum(smooth, 0) / 30))), -3, 5)


@pytest.mark.parametrize("name", sorted((*SKY_SCALINGS, "min_max")))
def test_scales_match_the_formulas_in_float64(name, on_known_sky):
    bound = [1e-5] * 4 + [DETAIL_OF_BRIGHTEST if name == "detail" else 1e-5]
    # The units are powers of two, so that pixels with equal differences keep them.
    for unit, given in ((1, on_known_sky), (2**-10, on_known_sky.astype(np.float64) / 2**10), (1, on_known_sky.astype(">f4"))):
        got = scaled(given, [name])[name]
        assert np.all(np.abs(got - in_numpy(name, given, unit)).max(axis=(1, 2)) < bound)


def test_one_nan_pixel_stays_nan(images):
    images[1, 40, 41] = np.nan
    units = sky_units(images)
    for got in (units, on_scale("sky_asinh", units), on_scale("centre_asinh", units)):
        assert np.argwhere(np.isnan(got)).tolist() == [[1, 40, 41]]
    assert np.isnan(on_scale("detail", units)[1, 40, 41])
    assert np.isfinite(on_scale("detail", units)[[0, 2, 3, 4]]).all()
    with pytest.raises(ValueError, match="1 constant or non-finite"):
        min_max(images)


def test_images_must_fit_into_the_input(images):
    out = np.empty((5, 1, 66, 66), np.float32)
    with pytest.raises(ValueError, match=r"images must be \(5, 66, 66\) for this input, got \(5, 100, 100\)"):
        write_scaled(images, [("sky_asinh", out, 0)])


@pytest.mark.parametrize("name", SKY_SCALINGS)
def test_zero_point_and_offset_have_no_effect(name, images):
    moved = scaled((images * 40 + 3).astype(np.float32), [name])[name]
    assert np.abs(moved - scaled(images, [name])[name]).max() < 5e-3


@pytest.mark.parametrize("name", SKY_SCALINGS)
def test_one_star_and_dead_pixels_leave_the_rest_unchanged(name, images):
    spoiled = images.copy()
    spoiled[:, 3, 3] = 1e6
    spoiled[:, 3, 90] = -1e6
    spoiled[:, 90, 3] = 0
    away = np.s_[:, 30:70, 30:70]
    assert np.abs(scaled(spoiled, [name])[name][away] - scaled(images, [name])[name][away]).max() < 0.05
    assert np.isfinite(scaled(spoiled, [name])[name]).all()


@pytest.mark.fault(24)
@pytest.mark.parametrize("name", SKY_SCALINGS)
def test_constant_images_are_sky_and_units_do_not_matter(name):
    images = np.zeros((4, 100, 100), np.float32)
    images[1] = 7
    images[3] = np.random.default_rng(0).normal(0, 1, (100, 100))
    images[2] = images[3] * np.float32(1e29)
    got = scaled(images, [name])[name]
    assert not got[:2].any()
    assert np.ptp(got[3]) > 1
    assert np.abs(got[2] - got[3]).max() < 1e-5


@pytest.mark.fault(24)
@pytest.mark.parametrize("name", ["sky_asinh", "centre_asinh", "detail"])
def test_a_patch_of_one_value_is_sky(name):
    """The patch has no scatter, so that all other pixels reach the largest value, and stay within the range."""
    images = np.random.default_rng(0).normal(0, 1, (2, 100, 100)).astype(np.float32)
    images[1, :, :50] = -99
    images[1, 50, 50] = 1e9
    got = scaled(images, [name])[name]
    low, high = value_range(name)
    assert low <= got.min()
    assert got.max() <= high
    # A blur reaches 16 pixels.
    assert not got[1, :, :34].any()
    if name != "detail":
        # All other pixels are as bright as the object in the middle, which `centre_asinh` scales to asinh(30).
        assert got[1, :, 50:] == pytest.approx(high if name == "sky_asinh" else math.asinh(30), abs=1e-5)
    assert np.array_equal(got[0], scaled(images[:1], [name])[name][0])


GOLDEN = {
    "min_max": (0.024867, 0.336142, 1.0),
    "sky_asinh": (-0.375025, 1.816666, 3.01785),
    "centre_asinh": (-1.101227, 3.040548, 4.264032),
    "detail": (-0.429079, 1.070521, 2.325972),
}
"""Values of three pixels of one image. Shipped networks were trained on these numbers: a changed scale needs a new name."""


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_scales_give_the_values_of_the_shipped_networks(name):
    y, x = np.mgrid[:100, :100] - 49.5
    waves = 2 * np.sin(0.37 * x + 1.3 * y) + np.cos(1.9 * x - 0.8 * y)
    image = (waves + 60 * np.exp(-np.hypot(x, y) / 8) + 9 * np.exp(-(((x - 14) ** 2 + y**2) / 8))).astype(np.float32)
    got = scaled(image[None], [name])[name][0]
    assert (got[3, 90], got[50, 64], got.max()) == pytest.approx(GOLDEN[name], abs=2e-5)


def test_unknown_bands_and_scales_are_refused():
    with pytest.raises(ValidationError, match=r"band must be one of .*'Z'"):
        Channel(band="Z", scaling="min_max")
    with pytest.raises(ValidationError, match="sky_asinh"):
        Channel(band="VIS", scaling="cube")


def test_every_scale_has_its_range_and_fills_it(images):
    """One pixel lies far below the sky and one far above: in `detail`, the light of the brightest galaxy hides the noise."""
    assert {name: value_range(name) for name in ("min_max", *SKY_SCALINGS)} == {
        "min_max": (0, 1),
        "sky_asinh": (-2, 6),
        "centre_asinh": (-2, 6),
        "detail": (-3, 5),
    }
    images[:, 5, 5], images[:, 5, 95] = -1e6, 1e7
    for name in ("min_max", *SKY_SCALINGS):
        got = scaled(images, [name])[name]
        assert (got.min(axis=(1, 2)).tolist(), got.max(axis=(1, 2)).tolist()) == tuple([end] * 5 for end in value_range(name))


def test_sky_units_are_clipped_at_1e12_in_both_directions():
    images = np.full((1, 20, 20), 3, np.float32)
    images[0, 1, 1], images[0, 3, 3], images[0, 5, 5] = 1e9, -1e9, 0
    units = sky_units(images)
    assert (units[0, 1, 1], units[0, 3, 3], units[0, 5, 5], units[0, 0, 0]) == (np.float32(1e12), np.float32(-1e12), 0, 0)


@pytest.mark.parametrize(("n_pixels", "first", "last"), [(100, 35, 64), (66, 23, 42), (20, 7, 12)])
def test_brightness_is_that_of_the_ninth_brightest_central_pixel(n_pixels, first, last):
    """The central square has three tenths of the side; pixels outside have no effect, even if they are bright."""
    units = np.zeros((2, n_pixels, n_pixels), np.float32)
    units[:, first, first : first + 5] = 100, 90, 80, 70, 60
    units[:, last, last - 4 : last + 1] = 20, 55, 50, 40, 1000
    units[1, first - 1, :] = units[1, :, first - 1] = units[1, last + 1, :] = units[1, :, last + 1] = 1e6
    found = on_scale("centre_asinh", units)
    # Values, brightest first: 1000, 100, 90, 80, 70, 60, 55, 50, 40.
    assert found[:, last, last - 1] == pytest.approx(math.asinh(30), abs=1e-5)
    assert found[:, last, last - 4] == pytest.approx(math.asinh(15), abs=1e-5)


@pytest.mark.parametrize(("brightness", "expected"), [(9.0, 27.0), (10.0, 30.0), (20.0, 30.0)])
def test_objects_below_ten_sigma_count_as_ten_sigma(brightness, expected):
    units = np.full((1, 20, 20), brightness, np.float32)
    assert on_scale("centre_asinh", units) == pytest.approx(math.asinh(expected), abs=1e-5)


@pytest.mark.parametrize("constant", [1, 2])
def test_only_min_max_refuses_constant_images(images, constant):
    images[:constant] = 4
    with pytest.raises(ValueError, match=f"images that vary, got {constant} constant or non-finite image"):
        scaled(images, ["sky_asinh", "min_max"])
    assert scaled(images, ["sky_asinh"])["sky_asinh"].shape == images.shape


def test_a_band_is_written_to_its_channel_only(images):
    out, other = np.full((5, 3, 100, 100), np.float32(9)), np.full((5, 2, 100, 100), np.float32(9))
    write_scaled(images, [("detail", out, 2), ("min_max", out, 0), ("sky_asinh", other, 1)])
    alone = scaled(images, ["detail", "min_max", "sky_asinh"])
    np.testing.assert_array_equal(out[:, 2], alone["detail"])
    np.testing.assert_array_equal(out[:, 0], alone["min_max"])
    np.testing.assert_array_equal(other[:, 1], alone["sky_asinh"])
    assert (out[:, 1] == 9).all()
    assert (other[:, 0] == 9).all()


def test_channels_makes_one_channel_per_band():
    assert channels("detail", "H", "VIS") == (Channel(band="H", scaling="detail"), Channel(band="VIS", scaling="detail"))
    with pytest.raises(ValidationError, match="frozen"):
        channels("detail", "H")[0].band = "VIS"
    with pytest.raises(ValidationError, match="not permitted"):
        Channel(band="H", scaling="detail", more=1)
