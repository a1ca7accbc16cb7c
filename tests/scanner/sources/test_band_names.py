"""Bands guessed from names of extensions, from FILTER, and from names of files."""

import pytest
from astropy.io.fits import Header

from scanner.sources.band_names import band_of_image, band_of_name, shows_no_sky, split_file_name


@pytest.mark.parametrize(
    ("name", "band"),
    [
        *(("VIS", "VIS"), ("VIS_FLUX", "VIS"), ("VIS_BGSUB", "VIS"), ("vis", "VIS"), ("SCI_VIS", "VIS")),
        *(("NIR_Y", "Y"), ("NIR_Y_FLUX", "Y"), ("Y", "Y"), ("NIR-J", "J"), ("NIRH", "H"), ("NISP-H", "H"), ("J_BAND", "J")),
        *(("VIS_PSF", None), ("NIR_H_RMS", None), ("HSC_Y_FLUX", None), ("MEGACAM_U_FLUX", None), ("", None), ("SCI", None)),
        *(("VIS_Y", None), ("K", None), ("VISTA", None)),
    ],
)
def test_a_whole_name_gives_its_band(name, band):
    assert band_of_name(name) == band


@pytest.mark.parametrize(
    ("name", "cards", "band"),
    [
        ("SCI", {"FILTER": "NIR_H"}, "H"),
        ("CUTOUT_1", {"BAND": "VIS"}, "VIS"),
        ("NIR_Y", {"FILTER": "VIS"}, "Y"),
        ("VIS_PSF", {"FILTER": "VIS"}, None),
        ("HSC_Y_FLUX", {"FILTER": "HSC_y"}, None),
        ("SCI", {}, None),
    ],
)
def test_the_filter_counts_where_the_name_says_nothing(name, cards, band):
    assert band_of_image(name, Header(cards)) == band


def test_a_card_that_cannot_be_parsed_says_nothing():
    header = Header.fromstring(b"FILTER  = 'VIS".ljust(80) + b"BAND    = 'NIR_Y   '".ljust(80))
    assert band_of_image("", header) == "Y"


@pytest.mark.parametrize(
    ("stem", "band", "rest"),
    [
        ("17_VIS", "VIS", "17"),
        ("17_NIR-H_cutout", "H", "17_cutout"),
        ("lens 4.nir_y", "Y", "lens 4"),
        ("j_17", "J", "17"),
        ("J_17_NISP-Y", "Y", "J_17"),
        ("VIS", "VIS", ""),
        ("EUCLJ174752.17+660743.0", None, "EUCLJ174752.17+660743.0"),
        ("EUCL_J174752", None, "EUCL_J174752"),
        ("17_VIS_NIR-H", None, "17_VIS_NIR-H"),
        ("17_y_h", None, "17_y_h"),
    ],
)
def test_the_name_of_a_file_is_split(stem, band, rest):
    assert split_file_name(stem) == (band, rest)


def test_noise_maps_and_psfs_show_no_sky():
    assert all(map(shows_no_sky, ("VIS_PSF", "17-vis-rms", "MASK", "NIR_H_WHT")))
    assert not any(map(shows_no_sky, ("VIS_FLUX", "maskless", "")))
