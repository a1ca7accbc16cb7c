"""The input of the networks against scikit-image and a loop."""

import numpy as np
import pytest
from skimage.transform import resize

from scanner.pixels.channels import channels, min_max
from scanner.pixels.geometry import CHALLENGE
from scanner.pixels.inputs import network_input


def stamps(n=3, seed=0):
    rng = np.random.default_rng(seed)
    return {b: rng.normal(size=(n, g.n_pixels, g.n_pixels)).astype(np.float32) for b, g in CHALLENGE.grids.items()}


@pytest.mark.parametrize("n_pixels", [66, 200])
def test_each_band_is_resized_and_scaled_on_its_own_as_the_authors_do(n_pixels):
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


def test_bands_come_in_the_order_asked():
    given = stamps()
    swapped, straight = (network_input(given, channels("min_max", *order), 66) for order in (("H", "J"), ("J", "H")))
    assert np.array_equal(swapped, straight[:, ::-1])


def test_min_max_ignores_zero_point_and_scale():
    image = stamps()["VIS"]
    scaled = min_max((image * 100 + 7).astype(np.float32))
    assert np.abs(scaled - min_max(image)).max() < 1e-5
    assert scaled.min() == 0
    assert scaled.max() == 1


def test_constant_images_are_refused():
    image = stamps()["VIS"]
    image[1] = 4
    with pytest.raises(ValueError, match="1 constant"):
        min_max(image)
