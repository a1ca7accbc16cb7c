"""Tests of the compiled steps from light to pixels, each against numpy or scipy, up to the borders of the images."""

import numpy as np
import pytest
from scipy.ndimage import convolve, correlate1d

from scanner.vocabulary.bands import EUCLID
from scanner.vocabulary.geometry import MER
from simulation.optics import observation
from simulation.optics.observation import Conditions, Edge, Optics, add_noise, detector_noise
from tests.simulation.hand_numbers import ELECTRONS_PER_ADU_PER_S, SKY_ADU_PER_S


@pytest.fixture
def image(rng):
    return rng.normal(1, 1, (14, 17)).astype(np.float32)


def test_half_as_many_pixels_share_light_between_the_nearest_two(rng):
    """The weights are 1, 3, 3, 1 (quarters) about each pair, along both axes; light beyond the edge is lost."""
    fine = rng.uniform(0, 1, (12, 12)).astype(np.float32)
    shares = np.zeros((6, 12))
    for i in range(6):
        for j, weight in ((2 * i - 1, 0.25), (2 * i, 0.75), (2 * i + 1, 0.75), (2 * i + 2, 0.25)):
            if 0 <= j < 12:
                shares[i, j] = weight
    np.testing.assert_allclose(observation._halved(fine), shares @ fine @ shares.T, rtol=1e-5)


@pytest.mark.parametrize("size", [16, 15])
def test_sharpening_undoes_the_sharing_beyond_that_of_pixels(size):
    """The expected filter is numpy's transform of the taps 1, 2, 1 (quarters) on pixels half as wide."""
    taps = np.zeros(2 * size)
    taps[[0, 1, -1]] = 0.5, 0.25, 0.25
    wavenumbers = np.round(np.fft.fftfreq(size) * size).astype(int), np.round(np.fft.rfftfreq(size) * size).astype(int)
    along_y, along_x = (np.fft.fft(taps).real[k] for k in wavenumbers)
    np.testing.assert_allclose(observation._sharpening(size), 1 / np.outer(along_y, along_x), rtol=1e-4)


def test_smoothing_weighs_a_pixels_eight_neighbours(image):
    kernel = np.array([[0.02, 0.1, 0.02], [0.1, 1, 0.1], [0.02, 0.1, 0.02]])
    expected = convolve(image.astype(float), kernel / kernel.sum())[1:-1, 1:-1]
    np.testing.assert_allclose(observation._smoothed(image, 0.1, 0.02), expected, rtol=1e-4, atol=1e-5)


def test_resampling_correlates_with_the_taps_along_both_axes(image):
    taps = np.array([0.1, 0.5, 0.3, 0.05, 0.2], np.float32)
    expected = correlate1d(correlate1d(image.astype(float), taps, axis=0), taps, axis=1)[2:-2, 2:-2]
    found = observation._resampled(image, taps)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("phase", [(0, 0), (2, 1), (1, 2)])
def test_a_dither_adds_shot_noise_on_each_native_pixel(phase, image):
    """Native pixels sum 3 x 3 pixels of the light, whose edge is repeated outwards; negative light has no noise."""
    margin, variance, electrons = 4, 50.0, 5.0
    comb = np.zeros((14 + 2 * margin, 17 + 2 * margin), np.float32)
    normals = np.arange(1, 8 * 9 + 1, dtype=np.float32).reshape(8, 9)
    expected = np.zeros(comb.shape)
    light = np.pad(image.astype(float), margin + 1, mode="edge")
    for i, y in enumerate(range(phase[0], comb.shape[0], 3)):
        for j, x in enumerate(range(phase[1], comb.shape[1], 3)):
            seen = max(light[y : y + 3, x : x + 3].sum(), 0) * electrons
            expected[y, x] = np.sqrt(variance + seen) / electrons * normals[i, j]
    observation._add_dither(comb, image, normals, *phase, variance, electrons)
    np.testing.assert_allclose(comb, expected, rtol=1e-5)
    observation._add_dither(comb, image, normals, *phase, variance, electrons)
    np.testing.assert_allclose(comb, 2 * expected, rtol=1e-5)


def test_nisp_bands_share_a_depth_and_scatter_about_it():
    """The test repeats the draw: 10 % in VIS, 11.5 % in NISP as a whole, 4 % in each of its bands."""
    _, nisp, vis, *bands = np.random.default_rng(3).standard_normal(6)
    depth = observation.draw_conditions(np.random.default_rng(3), 0.0).depth_factor
    assert list(depth) == ["VIS", "Y", "J", "H"]
    assert depth["VIS"] == pytest.approx(np.exp(0.1 * vis))
    assert [depth[band] for band in ("Y", "J", "H")] == pytest.approx([np.exp(0.115 * nisp + 0.04 * z) for z in bands])


def test_light_below_zero_has_no_noise_of_its_own():
    band = EUCLID["VIS"]
    dark = np.full((60, 60), -50.0, np.float32)
    noise = detector_noise(dark, band, 100.0, np.random.default_rng(1))
    assert noise.std() == pytest.approx(10 / ELECTRONS_PER_ADU_PER_S["VIS"], rel=0.05)
    assert not detector_noise(dark, band, 0.0, np.random.default_rng(1)).any()


@pytest.mark.parametrize("angle", [0.4, 2.0, 4.0])
def test_an_edge_cuts_the_image_where_it_lies(angle):
    factor = Edge(angle, 0.35, 0.82).noise_factor((21, 30), 0.1)
    y, x = np.mgrid[:21, :30]
    beyond = ((x - 14.5) * np.cos(angle) + (y - 10) * np.sin(angle)) * 0.1 > 0.35
    np.testing.assert_array_equal(factor, np.where(beyond, np.float32(0.82), np.float32(1)))
    assert factor.dtype == np.float32


def test_pixels_on_an_edge_are_not_beyond_it():
    factor = Edge(0.0, 0.0, 0.5).noise_factor((3, 5), 0.1)
    np.testing.assert_array_equal(factor, [[1, 1, 1, 0.5, 0.5]] * 3)


def test_only_vis_has_noisy_pixels():
    """If all pixels are noisy, VIS has 1.6 times the noise, on native pixels and MER's, and NISP is unchanged."""
    blank = {band: np.zeros((200, 200), np.float32) for band in EUCLID}
    nominal = Conditions.nominal(0.0)
    spoiled = Conditions(0.0, 1.0, nominal.depth_factor, nominal.sky_offset_sigma, {}, 1.0)
    noise = add_noise(blank, MER, spoiled, np.random.default_rng(1))
    assert noise["VIS"].std() == pytest.approx(1.6 * SKY_ADU_PER_S["mer"]["VIS"], rel=0.02)
    for band in ("Y", "J", "H"):
        assert noise[band].std() == pytest.approx(SKY_ADU_PER_S["mer"][band], rel=0.1)


def test_an_image_smaller_than_the_psf_is_blurred_correctly():
    """The reference is the middle of a large image."""
    small = np.zeros((4, 4), np.float32)
    small[1:3, 1:3] = 1.0
    large = np.pad(small, 98)
    for band in EUCLID:
        optics = Optics(MER, Conditions.nominal(0.0))
        middle = optics.observe(band, large)[49:51, 49:51]
        np.testing.assert_allclose(optics.observe(band, small), middle, atol=2e-3 * middle.max())
