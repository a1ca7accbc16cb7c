import dataclasses

import pytest

from scanner.pixels.bands import EUCLID, VIS, BandSet


def test_zero_points_per_electron_are_those_published():
    """Schirmer et al. 2022; a gain of 1 in NISP would be off by five magnitudes."""
    published = {"Y": 25.04, "J": 25.26, "H": 25.21}
    for name, mag in published.items():
        assert EUCLID[name].zero_point_electrons_ab_mag == pytest.approx(mag, abs=0.02)
    assert 25.4 < VIS.zero_point_electrons_ab_mag < 26.1


@pytest.mark.parametrize(("name", "expected"), [("VIS", 0.085), ("Y", 16), ("J", 16), ("H", 16)])
def test_source_flux_that_doubles_the_variance_is_as_measured(name, expected):
    """Variance = sky variance * (1 + f / f0), f0 in ADU/s per 0.1 arcsec pixel, as found in MER fields."""
    band = EUCLID[name]
    native = band.noise_electrons_per_pixel**2 / band.electrons_per_adu_per_s
    assert native * (0.1 / band.pixel_scale_arcsec) ** 2 == pytest.approx(expected, rel=0.2)


@pytest.mark.parametrize("name", list(EUCLID))
def test_magnitude_and_flux_agree(name):
    band = EUCLID[name]
    assert band.flux_ujy(band.adu_per_s(23.9)) == pytest.approx(1.0)
    assert band.flux_ujy(band.adu_per_s(21.4)) == pytest.approx(10.0)
    assert band.flux_ujy(1.0, zero_point_ab_mag=23.9) == pytest.approx(1.0)


def test_every_band_says_where_its_numbers_come_from():
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


def test_an_order_names_each_band_once():
    assert EUCLID.check_order(["H", "VIS"]) == ("H", "VIS")
    with pytest.raises(ValueError, match="once"):
        EUCLID.check_order(["H", "H"])
