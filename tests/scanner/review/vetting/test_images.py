"""Records of images: what the page reads of them is what was put in."""

import struct

import numpy as np

from scanner.review.vetting.images import SubjectImage, records, stored_image


def test_records_follow_one_another(rng):
    sky = SubjectImage(rng.integers(-32768, 32767, (4, 80, 80)).astype(np.int16), 0.125)
    rgb = SubjectImage(rng.integers(0, 255, (80, 80, 3)).astype(np.uint8))
    data = records([sky, None, rgb])
    n_sky, n_rgb = 2 * 4 * 80 * 80, 3 * 80 * 80
    assert len(data) == 3 * 8 + n_sky + n_rgb
    assert struct.unpack("<If", data[:8]) == (1, 0.125)
    np.testing.assert_array_equal(np.frombuffer(data[8 : 8 + n_sky], "<i2"), sky.values.ravel())
    assert data[8 + n_sky : 16 + n_sky] == bytes(8)
    assert struct.unpack("<If", data[16 + n_sky : 24 + n_sky]) == (2, 0.0)
    np.testing.assert_array_equal(np.frombuffer(data[24 + n_sky :], np.uint8), rgb.values.ravel())


def test_bands_come_before_colours(rng):
    sigma, rgb = rng.integers(0, 99, 4 * 80 * 80), rng.integers(0, 99, 80 * 80 * 3)
    both = stored_image({"cutout_sigma": sigma, "cutout_step": 0.5, "cutout_rgb": rgb})
    np.testing.assert_array_equal(both.values, sigma.reshape(4, 80, 80))
    assert both.step == 0.5
    # A night that shows a scan of an earlier version has zeros and no step.
    old = stored_image({"cutout_sigma": 0 * sigma, "cutout_step": None, "cutout_rgb": rgb})
    np.testing.assert_array_equal(old.values, rgb.reshape(80, 80, 3))
    assert stored_image({"cutout_rgb": None}) is None
