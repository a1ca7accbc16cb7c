"""Compares the input of the networks with scikit-image and a loop."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from skimage.transform import resize

from scanner.preprocess.channel import channels
from scanner.preprocess.network_inputs import network_input, network_inputs
from scanner.preprocess.resample import resized
from scanner.vocabulary.geometry import CHALLENGE
from tests.scanner.scaling import min_max, scaled


def stamps(n=3, seed=0):
    rng = np.random.default_rng(seed)
    return {b: rng.normal(size=(n, g.n_pixels, g.n_pixels)).astype(np.float32) for b, g in CHALLENGE.grids.items()}


MIXED = (*channels("sky_asinh", "H", "VIS"), *channels("min_max", "J", "H"), *channels("detail", "VIS"))
MIXED = (*MIXED, *channels("centre_asinh", "VIS", "Y"), *channels("min_max", "J"))


@pytest.mark.parametrize("n_pixels", [66, 200])
def test_each_band_is_resized_and_scaled_like_the_authors(n_pixels):
    given = stamps()
    order = ("J", "Y", "H", "VIS")
    got = network_input(given, channels("min_max", *order), n_pixels)
    assert got.shape == (3, 4, n_pixels, n_pixels)
    assert got.dtype == np.float32
    for i in range(3):
        for channel, band in enumerate(order):
            image = resize(given[band][i].astype(np.float64), (n_pixels, n_pixels))
            expected = (image - image.min()) / (image.max() - image.min())
            assert np.abs(got[i, channel] - expected).max() < 1e-6


def test_bands_come_in_the_requested_order():
    given = stamps()
    swapped, straight = (network_input(given, channels("min_max", *order), 66) for order in (("H", "J"), ("J", "H")))
    assert np.array_equal(swapped, straight[:, ::-1])


def test_channels_of_all_scales_come_in_the_requested_order():
    given = stamps()
    got = network_input(given, MIXED, 200)
    assert got.flags.c_contiguous
    for place, channel in enumerate(MIXED):
        expected = scaled(resized(given[channel.band], 200), [channel.scaling])[channel.scaling]
        np.testing.assert_array_equal(got[:, place], expected, err_msg=f"{place}: {channel}")
    # Only the channel that is requested twice is equal to another, so that the test distinguishes all channels.
    equal = [(i, j) for j in range(len(MIXED)) for i in range(j) if np.array_equal(got[:, i], got[:, j])]
    assert equal == [(2, 7)]


@pytest.mark.parametrize("n_pixels", [66, 100, 200])
def test_a_row_does_not_depend_on_the_batch(n_pixels):
    given = stamps(13)
    together = network_input(given, MIXED, n_pixels)
    order = np.random.default_rng(1).permutation(13)
    for rows in (order, order[:1], order[2:7], slice(5, 13), slice(0, 13, 3)):
        part = network_input({band: images[rows] for band, images in given.items()}, MIXED, n_pixels)
        assert part.tobytes() == together[rows].tobytes()


def test_the_memory_layout_of_the_pixels_does_not_matter(tmp_path):
    """Pixels may be memory-mapped, read-only, interleaved by band, in Fortran order, reversed, or in double precision."""
    rng = np.random.default_rng(2)
    pixels = rng.normal(size=(5, 4, 100, 100)).astype(np.float32)
    np.save(tmp_path / "pixels.npy", pixels)
    mapped = np.load(tmp_path / "pixels.npy", mmap_mode="r")
    bands = ("VIS", "Y", "J", "H")
    for n_pixels in (66, 100):
        expected = network_input({b: pixels[:, i].copy() for i, b in enumerate(bands)}, MIXED, n_pixels)
        for held in (mapped, pixels, np.asfortranarray(pixels)):
            got = network_input({b: held[:, i] for i, b in enumerate(bands)}, MIXED, n_pixels)
            assert got.tobytes() == expected.tobytes()
        turned = np.ascontiguousarray(pixels[:, :, ::-1, ::-1])[:, :, ::-1, ::-1]
        got = network_input({b: turned[:, i] for i, b in enumerate(bands)}, MIXED, n_pixels)
        assert got.tobytes() == expected.tobytes()
        double = network_input({b: pixels[:, i].astype(np.float64) for i, b in enumerate(bands)}, MIXED, n_pixels)
        assert np.abs(double - expected).max() < 1e-5


def test_threads_do_not_disturb_each_other():
    given = [stamps(4, seed) for seed in range(6)]
    expected = [network_input(images, MIXED, 66) for images in given]
    with ThreadPoolExecutor(3) as pool:
        for got, want in zip(pool.map(lambda images: network_input(images, MIXED, 66), given), expected, strict=True):
            assert got.tobytes() == want.tobytes()


def test_no_rows_give_no_inputs():
    assert network_input(stamps(0), MIXED, 66).shape == (0, len(MIXED), 66, 66)


def test_bands_of_different_length_are_refused():
    given = stamps(3)
    given["H"] = given["H"][:2]
    with pytest.raises(ValueError, match=r"images must be \(3, 66, 66\)"):
        network_input(given, channels("sky_asinh", "VIS", "H"), 66)


def test_min_max_ignores_zero_point_and_scale():
    image = stamps()["VIS"]
    brighter = min_max((image * 100 + 7).astype(np.float32))
    assert np.abs(brighter - min_max(image)).max() < 1e-5
    assert brighter.min() == 0
    assert brighter.max() == 1


def test_constant_images_are_refused():
    image = stamps()["VIS"]
    image[1] = 4
    with pytest.raises(ValueError, match="1 constant"):
        min_max(image)


@pytest.mark.parametrize("field", [8, 80, 96, 98, 100])
@pytest.mark.parametrize(
    "channels_of", [MIXED, *((channel,) for channel in MIXED[:6])], ids=lambda some: f"{len(some)} {some[0]}"
)
def test_a_field_is_the_middle_of_the_input(field, channels_of):
    """The central square of `centre_asinh` has 30 pixels: it reaches beyond a field of 8."""
    given, low = stamps(5), (100 - field) // 2
    whole = network_input(given, channels_of, 100)
    got = network_inputs(given, [channels_of], 100, field)[channels_of]
    assert got.flags.c_contiguous
    np.testing.assert_array_equal(got, whole[..., low : low + field, low : low + field])
