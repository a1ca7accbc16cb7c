"""Quantities of objects against their closed forms: flux in a circle, magnitude, noise, level and width."""

import math

import numpy as np
import pytest

from scanner.quality.objects import QUANTITIES, column, measure_objects
from scanner.vocabulary.geometry import CHALLENGE, MER_10


def stamps_of(rng, geometry, sigma_arcsec, flux, noise, level):
    stamps = {}
    for band, grid in geometry.grids.items():
        side, pixel = grid.n_pixels, grid.pixel_scale_arcsec
        y, x = (np.indices((side, side)) - (side - 1) / 2) * pixel
        light = np.exp(-(y**2 + x**2) / (2 * sigma_arcsec**2))
        images = flux * light / light.sum() + level + rng.normal(0, noise, (30, side, side))
        stamps[band] = images.astype(np.float32)
    return stamps


@pytest.mark.parametrize("geometry", [CHALLENGE, MER_10])
def test_a_gaussian_source_gives_its_numbers(rng, geometry):
    sigma_arcsec, flux, noise, level, zero_point = 0.35, 400.0, 0.2, 0.1, 25.0
    stamps = stamps_of(rng, geometry, sigma_arcsec, flux, noise, level)
    measured = measure_objects(stamps, geometry, dict.fromkeys(geometry.grids, zero_point))
    assert set(measured) == {column(name, band) for name in QUANTITIES for band in geometry.grids}
    inside = flux * (1 - math.exp(-1 / (2 * sigma_arcsec**2)))
    for band, grid in geometry.grids.items():
        middle = {name: float(np.median(measured[column(name, band)])) for name in QUANTITIES}
        assert middle["mag"] == pytest.approx(zero_point - 2.5 * math.log10(inside), abs=0.02)
        assert middle["noise_ujy"] == pytest.approx(noise * 10 ** (-0.4 * (zero_point - 23.9)), rel=0.05)
        assert middle["level_sigma"] == pytest.approx(level / noise, abs=0.1)
        assert middle["fwhm_arcsec"] == pytest.approx(math.sqrt(8 * math.log(2)) * sigma_arcsec, rel=0.02)
        n_pixels = math.pi / grid.pixel_scale_arcsec**2
        assert middle["snr"] == pytest.approx(inside / (noise * math.sqrt(n_pixels)), rel=0.1)


def test_a_band_without_a_zero_point_has_no_magnitudes(rng):
    stamps = stamps_of(rng, MER_10, 0.35, 100.0, 0.2, 0.0)
    measured = measure_objects(stamps, MER_10, {"VIS": 25.0})
    assert np.isfinite(measured[column("mag", "VIS")]).all()
    for name in ("mag", "noise_ujy"):
        assert np.isnan(measured[column(name, "H")]).all()
    assert np.isfinite(measured[column("fwhm_arcsec", "H")]).all()
