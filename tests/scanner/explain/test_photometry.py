"""Test photometry against closed forms: Gaussian galaxies of known flux, and rings of known light."""

import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from scanner.explain.photometry import APERTURES_ARCSEC, arc_photometry, circle_weights, photometry
from scanner.vocabulary.bands import AB_ZERO_POINT_UJY, EUCLID
from scanner.vocabulary.geometry import GEOMETRIES

GEOMETRY = GEOMETRIES["mer10"]
PIXEL_ARCSEC, N = 0.1, 100
ZERO_POINTS = {band: of.zero_point_ab_mag for band, of in EUCLID.items()}
SIGMA = {"VIS": 0.002, "Y": 0.3, "J": 0.4, "H": 0.5}
WIDE_ARCSEC = 1.2
"""FWHM of the galaxies before the blur of each band."""


def gaussian(flux, fwhm_arcsec):
    """Return an image of a round Gaussian, exact in its integral over each pixel."""
    sigma = fwhm_arcsec / math.sqrt(8 * math.log(2)) / PIXEL_ARCSEC
    edges = np.arange(N + 1) - N / 2
    part = np.diff([math.erf(edge / sigma / math.sqrt(2)) / 2 for edge in edges])
    return flux * np.outer(part, part)


def fwhm_arcsec(band):
    return math.hypot(WIDE_ARCSEC, EUCLID[band].psf_fwhm_arcsec)


def in_circle(flux, band, diameter_arcsec):
    """Return the flux of the Gaussian within a circle, from its integral."""
    sigma_arcsec = fwhm_arcsec(band) / math.sqrt(8 * math.log(2))
    return flux * (1 - math.exp(-((diameter_arcsec / 2) ** 2) / (2 * sigma_arcsec**2)))


def stamps(fluxes, sky=0.0, rng=None):
    """Return stamps of one galaxy, of these fluxes by band, on a sky with noise."""
    rng = rng or np.random.default_rng(5)
    noise = {band: rng.normal(sky, SIGMA[band], (N, N)) for band in EUCLID}
    return {band: (gaussian(fluxes[band], fwhm_arcsec(band)) + noise[band])[None].astype(np.float32) for band in EUCLID}


@pytest.fixture(scope="module")
def bright():
    """Fluxes of a galaxy of AB 19.0 in VIS, and redder bands that are brighter, in the unit of each band."""
    return {band: EUCLID[band].adu_per_s(mag) for band, mag in zip(EUCLID, (19.0, 18.4, 18.1, 17.9), strict=True)}


def test_magnitudes_are_those_of_the_integral(bright):
    measured = photometry(stamps(bright, sky=0.7), GEOMETRY, ZERO_POINTS)
    for band in EUCLID:
        for diameter in APERTURES_ARCSEC:
            flux = EUCLID[band].flux_ujy(in_circle(bright[band], band, diameter))
            expected = AB_ZERO_POINT_UJY - 2.5 * math.log10(flux)
            assert measured[f"mag_{band.lower()}_{diameter}arcsec"] == pytest.approx([expected], abs=0.01)


def test_sky_noise_is_in_microjansky(bright):
    measured = photometry(stamps(bright), GEOMETRY, ZERO_POINTS)
    for band in EUCLID:
        expected = SIGMA[band] * 10 ** (-0.4 * (ZERO_POINTS[band] - 23.9))
        assert measured[f"sky_sigma_{band.lower()}_ujy"] == pytest.approx([expected], rel=0.1)


def test_colours_do_not_depend_on_the_blur_of_the_bands(bright):
    measured = photometry(stamps(bright), GEOMETRY, ZERO_POINTS)
    assert measured["lens_vis_minus_h"] == pytest.approx([19.0 - 17.9], abs=0.01)
    assert measured["lens_y_minus_h"] == pytest.approx([18.4 - 17.9], abs=0.01)


def test_a_band_without_a_zero_point_has_no_magnitude(bright):
    measured = photometry(stamps(bright), GEOMETRY, {"VIS": ZERO_POINTS["VIS"]})
    missing = {name for name, values in measured.items() if np.isnan(values).all()}
    assert missing == {name for name in measured if "vis" not in name} | {"lens_vis_minus_h"}


def test_a_hole_in_the_sky_has_no_magnitude(bright):
    measured = photometry(stamps({band: -flux for band, flux in bright.items()}), GEOMETRY, ZERO_POINTS)
    assert np.isnan(measured["mag_h_1arcsec"]).all()
    assert np.isnan(measured["lens_vis_minus_h"]).all()


def test_parts_of_pixels_in_a_circle_sum_to_its_area():
    for radius in (1.5, 5.0, 10.0):
        assert circle_weights(40, radius).sum() == pytest.approx(math.pi * radius**2, rel=2e-3)
        assert circle_weights(41, radius).sum() == pytest.approx(math.pi * radius**2, rel=2e-3)
    assert circle_weights(40, 5.0)[19, 19] == 1
    assert circle_weights(40, 5.0)[0, 0] == 0


@pytest.mark.parametrize("n_pixels", [1, 9, 10, 40, 41])
@pytest.mark.parametrize("radius", [0.3, 4.0, 5.55, 30.0])
def test_every_pixel_weighs_what_lies_in_the_circle(n_pixels, radius):
    at = (np.arange(n_pixels * 20) + 0.5) / 20 - n_pixels / 2
    is_inside = at[:, None] ** 2 + at**2 < radius**2
    expected = is_inside.reshape(n_pixels, 20, n_pixels, 20).mean(axis=(1, 3))
    np.testing.assert_array_equal(circle_weights(n_pixels, radius), expected)


def with_arc(images, band, flux):
    """Paint a sixth of a ring, 1.0 to 2.2 arcsec from the centre, uniformly; return the images and its number of pixels."""
    y, x = (np.indices((N, N)) - (N - 1) / 2) * PIXEL_ARCSEC
    is_arc = (np.hypot(y, x) > 1.0) & (np.hypot(y, x) < 2.2) & (x > 0.866 * np.hypot(y, x))
    painted = images[band].copy()
    painted[0][is_arc] += flux / is_arc.sum()
    return {**images, band: painted}, int(is_arc.sum())


@pytest.fixture(scope="module")
def faint(bright):
    """Fluxes of a galaxy 4 mag fainter, which a profile on ellipses subtracts to within its noise."""
    return {band: flux / 40 for band, flux in bright.items()}


def test_an_arc_has_the_ratio_of_light_to_noise(faint):
    plain = stamps(faint)
    arc_flux = 40 * SIGMA["VIS"] * math.sqrt(200)
    painted, n_pixels = with_arc(plain, "VIS", arc_flux)
    snr = arc_photometry(painted, GEOMETRY, ZERO_POINTS)["arc_snr_vis"]
    assert snr == pytest.approx([arc_flux / (SIGMA["VIS"] * math.sqrt(n_pixels))], rel=0.2)


def test_a_galaxy_alone_has_no_arc(faint):
    measured = arc_photometry(stamps(faint), GEOMETRY, ZERO_POINTS)
    assert measured["arc_snr_vis"] == [0]
    assert np.isnan(measured["arc_vis_minus_h"]).all()


def test_the_colour_of_an_arc_ignores_the_blur_of_bands(faint):
    images = stamps(faint)
    for band, mag in (("VIS", 20.0), ("H", 19.0)):
        light = with_arc({band: np.zeros((1, N, N))}, band, EUCLID[band].adu_per_s(mag))[0][band][0]
        sigma = EUCLID[band].psf_fwhm_arcsec / math.sqrt(8 * math.log(2)) / PIXEL_ARCSEC
        images[band] = images[band] + gaussian_filter(light, sigma)
    # Without a match of the widths, VIS has 0.025 mag more of its light in the region.
    assert arc_photometry(images, GEOMETRY, ZERO_POINTS)["arc_vis_minus_h"] == pytest.approx([1.0], abs=0.006)


def test_objects_do_not_depend_on_each_other(faint):
    rng = np.random.default_rng(8)
    several = [stamps({band: flux * part for band, flux in faint.items()}, rng=rng) for part in (1, 0.3)]
    several[1], _ = with_arc(several[1], "VIS", 40 * SIGMA["VIS"] * math.sqrt(200))
    together = {band: np.concatenate([one[band] for one in several]) for band in EUCLID}
    for measure in (photometry, arc_photometry):
        measured = measure(together, GEOMETRY, ZERO_POINTS)
        alone = [measure(one, GEOMETRY, ZERO_POINTS) for one in several]
        for name, values in measured.items():
            np.testing.assert_array_equal(values, [one[name][0] for one in alone])
