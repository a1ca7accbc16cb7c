import dataclasses
import math

import pytest

from scanner.vocabulary.bands import EUCLID, VIS, BandSet


def test_zero_points_per_electron_match_the_published_values():
    """The published values are those of Schirmer et al. 2022; a gain of 1 in NISP would be wrong by five magnitudes."""
    published = {"Y": 25.04, "J": 25.26, "H": 25.21}
    found = {name: band.zero_point_ab_mag + 2.5 * math.log10(band.gain_electrons_per_adu) for name, band in EUCLID.items()}
    assert {name: found[name] for name in published} == pytest.approx(published, abs=0.02)
    assert 25.4 < found["VIS"] < 26.1


ELECTRONS = {"VIS": (736.11, 4 * 3.2**2), "Y": (500.83, 4 * 6.1**2), "J": (570.12, 4 * 6.1**2), "H": (549.13, 4 * 6.1**2)}
"""Sky electrons in a native pixel, and the variance of reading it four times: computed by hand from the references' numbers,
such as 10**(-0.4 * (22.18 - 24.6)) ADU/s * 0.1**2 * 3.5 * 2264 s for VIS."""


@pytest.mark.parametrize("name", list(EUCLID))
def test_empty_pixel_noise_is_sky_noise_plus_read_noise(name):
    band, (sky, reading) = EUCLID[name], ELECTRONS[name]
    assert band.sky_electrons_per_pixel == pytest.approx(sky, rel=1e-4)
    assert band.noise_electrons_per_pixel == pytest.approx((sky + reading) ** 0.5, rel=1e-4)


@pytest.mark.parametrize(("name", "expected"), [("VIS", 0.085), ("Y", 16), ("J", 16), ("H", 16)])
def test_source_flux_that_doubles_the_variance_is_as_measured(name, expected):
    """MER fields show a variance of sky variance * (1 + f / f0), with f0 in ADU/s per 0.1 arcsec pixel."""
    band = EUCLID[name]
    native = band.noise_electrons_per_pixel**2 / band.electrons_per_adu_per_s
    assert native * (0.1 / band.pixel_scale_arcsec) ** 2 == pytest.approx(expected, rel=0.16)


@pytest.mark.parametrize("name", list(EUCLID))
def test_magnitude_and_flux_agree(name):
    band = EUCLID[name]
    assert band.flux_ujy(band.adu_per_s(23.9)) == pytest.approx(1.0)
    assert band.flux_ujy(band.adu_per_s(21.4)) == pytest.approx(10.0)
    assert band.flux_ujy(1.0, zero_point_ab_mag=23.9) == pytest.approx(1.0)


def test_every_band_cites_the_source_of_its_numbers():
    assert all(len(band.reference) > 40 for band in EUCLID.values())
    with pytest.raises(ValueError, match="VIS: reference"):
        dataclasses.replace(VIS, reference="")


@pytest.mark.parametrize("name", ["exposure_s", "gain_electrons_per_adu", "psf_fwhm_arcsec"])
def test_numbers_must_be_positive(name):
    with pytest.raises(ValueError, match=f"VIS: {name} must be > 0, got -1"):
        dataclasses.replace(VIS, **{name: -1.0})


def test_bands_are_found_by_name_in_any_order():
    reordered = BandSet((EUCLID["H"], EUCLID["VIS"]))
    assert list(reordered) == ["H", "VIS"]
    assert reordered["VIS"] is EUCLID["VIS"]
    with pytest.raises(KeyError, match="'K' is not one of"):
        EUCLID["K"]
    with pytest.raises(ValueError, match="unique"):
        BandSet((VIS, VIS))
