"""Sky levels that several networks share."""

import numpy as np

from scanner.preprocess import sky_levels as module
from scanner.preprocess.sky import sky_level_and_sigma
from scanner.preprocess.sky_levels import SkyLevels


def test_a_sky_is_measured_once_for_each_band_and_side(rng, monkeypatch):
    calls = []
    monkeypatch.setattr(
        module, "sky_level_and_sigma", lambda images: (calls.append(images.shape), sky_level_and_sigma(images))[1]
    )
    levels = SkyLevels()
    large, small = rng.normal(5, 2, (3, 40, 40)), rng.normal(1, 2, (3, 20, 20))
    for band, images in (("VIS", large), ("VIS", small), ("H", large), ("VIS", large), ("VIS", small)):
        np.testing.assert_array_equal(levels.measured(band, images), sky_level_and_sigma(images))
    assert calls == [large.shape, small.shape, large.shape]


def test_levels_of_some_rows_are_those_of_the_rows(rng):
    levels, images = SkyLevels(), rng.normal(5, 2, (4, 30, 30))
    levels.measured("VIS", images)
    some = levels.of(np.array([3, 1]))
    np.testing.assert_array_equal(some.known["VIS", 30], sky_level_and_sigma(images[[3, 1]]))


def test_levels_known_in_all_parts_are_joined(rng):
    parts = [SkyLevels(), SkyLevels()]
    images = [rng.normal(5, 2, (n, 30, 30)) for n in (2, 3)]
    for part, of_part in zip(parts, images, strict=True):
        part.measured("VIS", of_part)
    parts[0].measured("H", images[0])
    together = SkyLevels.joined(parts)
    assert list(together.known) == [("VIS", 30)]
    np.testing.assert_array_equal(together.known["VIS", 30], sky_level_and_sigma(np.concatenate(images)))
    assert list(SkyLevels.joined(parts[::-1]).known) == [("VIS", 30)]
