"""Descriptions of surveys: those that come with the program, and mistakes in others."""

import math
import re

import pytest
from astropy.io.fits import Header

from scanner.sources.survey import (
    EUCLID_MER,
    Survey,
    SurveyError,
    find_survey,
    parse_survey,
    shipped_survey,
    shipped_surveys,
    shipped_text,
)
from scanner.vocabulary.rejections import Rejection
from tests.other_survey import TOML

NAMES = {
    "des-dr2": ("DES0109+0500_r4969p01_i.fits.fz", "DES0109+0500", "Y", "DES0109+0500_dr2_main.fits"),
    "euclid-mer": (
        "EUC_MER_BGSUB-MOSAIC-NIR-H_TILE102018211-ACBD03_20241018T142710.276838Z_00.00.fits",
        "102018211",
        "H",
        "EUC_MER_FINAL-CAT_TILE102018211-0AF3C1_20241018T142710.276838Z_00.00.fits.gz",
    ),
    "hsc-pdr3": ("calexp-HSC-I-9813-4,4.fits", "9813-4,4", "Y", "meas-HSC-I-9813-4,4.fits"),
    "kids-dr4": ("KiDS_DR4.0_181.5_-2.5_r_sci.fits", "181.5_-2.5", "VIS", "KiDS_DR4.0_181.5_-2.5_ugriZYJHKs_cat.fits"),
    "rubin-dp1": ("deep_coadd_5063_14_z_lsst_cells_v1_LSSTComCam_runs_DRP_DP1_v29.fits", "5063_14", "J", None),
}
"""By survey: a mosaic that people have, its tile and the band that it stands for, and the catalogue of the tile."""


def test_every_shipped_survey_has_its_names_tested():
    assert shipped_surveys() == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_shipped_surveys_know_the_names_of_public_files(name):
    survey = shipped_survey(name)
    mosaic, tile, band, catalogue = NAMES[name]
    match = survey.mosaic_pattern.fullmatch(mosaic)
    assert (match["tile"], match["band"]) == (tile, survey.bands[band])
    assert survey.name == name
    assert list(survey.bands) == ["VIS", "Y", "J", "H"]
    assert len(survey.reference) > 50
    assert not survey.mosaic_pattern.fullmatch(f"x{mosaic}")
    if catalogue is None:
        assert survey.catalogue_pattern is None
    else:
        assert survey.catalogue_pattern.fullmatch(catalogue)["tile"] == tile
        assert not survey.mosaic_pattern.fullmatch(catalogue)


def test_a_name_or_a_file_is_found(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(shipped_text("hsc-pdr3"))
    assert find_survey(str(path)) == find_survey("hsc-pdr3") == shipped_survey("hsc-pdr3")
    assert find_survey(None) is EUCLID_MER
    with pytest.raises(SurveyError, match=r"no survey 'hsc-pdr2'; did you mean hsc-pdr3\? Surveys: des-dr2, euclid-mer, "):
        find_survey("hsc-pdr2")
    with pytest.raises(SurveyError, match=r"absent\.toml: no such file"):
        find_survey(str(tmp_path / "absent.toml"))


def test_a_unit_says_its_zero_point():
    """A source of magnitude 0 has a flux of 3631 Jy (Oke & Gunn 1983)."""
    for unit, in_jy in {"nJy": 1e-9, "uJy": 1e-6, "mJy": 1e-3, "Jy": 1.0}.items():
        survey = parse_survey(TOML.replace("nJy", unit).encode(), "x")
        assert survey.mosaics.zero_point_of(Header(), "x") == pytest.approx(2.5 * math.log10(3631 / in_jy), abs=2e-2)


def test_a_zero_point_is_a_number_or_a_keyword():
    header = Header({"MAGZERO": 24.6, "ZP": 25.5})
    assert EUCLID_MER.mosaics.zero_point_of(header, "x") == 24.6
    assert shipped_survey("hsc-pdr3").mosaics.zero_point_of(header, "x") == 27
    keyword, none = (parse_survey(TOML.replace('unit = "nJy"', new).encode(), "x") for new in ('zero_point_keyword = "ZP"', ""))
    assert keyword.mosaics.zero_point_of(header, "x") == 25.5
    with pytest.raises(Rejection, match=r"a\.fits: ZP must be a finite number, got None"):
        keyword.mosaics.zero_point_of(Header(), "a.fits")
    with pytest.raises(Rejection, match=r"a\.fits: the description of the survey states no zero point"):
        none.mosaics.zero_point_of(header, "a.fits")


def test_only_candidates_of_euclid_have_its_acronym():
    copy = parse_survey(shipped_text("euclid-mer").encode(), "x")
    assert (EUCLID_MER.acronym_of_names, copy.acronym_of_names) == ("EUCL", "EUCL")
    names = [shipped_survey(name).acronym_of_names for name in shipped_surveys() if name != "euclid-mer"]
    assert set(names) == {"LENSSCAN"}
    assert parse_survey(TOML.encode(), "x").acronym_of_names == "LENSSCAN"
    own = parse_survey(f'acronym = "ATLAS"\n{TOML}'.encode(), "x")
    assert own.acronym_of_names == Survey.model_validate_json(own.model_dump_json()).acronym_of_names == "ATLAS"


def test_descriptions_without_an_acronym_stay_as_in_earlier_plans():
    for survey in (EUCLID_MER, parse_survey(TOML.encode(), "x")):
        assert set(survey.model_dump()) == {"name", "reference", "bands", "mosaics", "catalogue"}


def test_a_description_survives_json():
    survey = parse_survey(TOML.encode(), "x")
    assert Survey.model_validate_json(survey.model_dump_json()) == survey
    assert survey.sources_of_bands() == "VIS from r, Y from i, J from z, H from y"
    with pytest.raises(ValueError, match="frozen"):
        survey.name = "other"


def test_the_order_of_bands_does_not_matter():
    swapped = TOML.replace('VIS = "r"\nY = "i"', 'Y = "i"\nVIS = "r"')
    assert parse_survey(swapped.encode(), "x").model_dump_json() == parse_survey(TOML.encode(), "x").model_dump_json()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('name = "sky-atlas"', "name = sky", "x.toml: no TOML: Invalid value (at line 1, column 8)"),
        ('name = "sky-atlas"\n', "", "x.toml: needs the key name"),
        ('name = "sky-atlas"', 'name = "a b"', "x.toml: name: String should match pattern"),
        ('name = "sky-atlas"', 'name = "a"\nacronym = "A J"', "x.toml: acronym: String should match pattern"),
        ('VIS = "r"', 'K = "r"', "x.toml: bands: unknown band K; the bands of the networks are VIS, Y, J, H"),
        ('VIS = "r"', "VIS = 3", "x.toml: bands.VIS: Input should be a valid string, got 3"),
        ('VIS = "r"\nY = "i"\nJ = "z"\nH = "y"\n', "", "x.toml: bands: needs at least one of VIS, Y, J, H"),
        ('file = "atlas-{tile}-{band}', 'file = "atlas-{band}', "x.toml: mosaics.file: must have {tile}, got 'atlas-{band}-v"),
        ('file = "atlas-{tile}-objects', 'file = "atlas-objects', "x.toml: catalogue.file: must have {tile}, got"),
        (
            'file = "atlas-{tile}-{band}',
            'file = "(?P<tile>({band}',
            "x.toml: mosaics.file: no regular expression: missing )",
        ),
        ('hdu = "SCI"', "hdu = 1.5", "x.toml: mosaics.hdu: Input should be a valid integer"),
        ('hdu = "SCI"', "pixelscale = 0.2", "x.toml: unknown key mosaics.pixelscale"),
        (
            'hdu = "SCI"',
            "pixel_scale_arcsec = 9",
            "x.toml: mosaics.pixel_scale_arcsec: Input should be less than or equal to 5, got 9",
        ),
        ('hdu = "SCI"', "zero_point_ab_mag = 30", "x.toml: mosaics: give one of zero_point_ab_mag, unit, not 2"),
        ('unit = "nJy"', 'unit = "ADU"', "x.toml: mosaics.unit: Input should be 'nJy', 'uJy', 'mJy' or 'Jy', got 'ADU'"),
        ('ra = "ra_rad"\n', "", "x.toml: needs the key catalogue.ra"),
    ],
)
def test_mistakes_are_named_in_one_line(old, new, says):
    assert old in TOML
    with pytest.raises(SurveyError, match=re.escape(says)) as raised:
        parse_survey(TOML.replace(old, new).encode(), "x.toml")
    assert "\n" not in str(raised.value)


def test_a_file_that_is_no_text_is_refused():
    with pytest.raises(SurveyError, match=r"x\.toml: is no text in UTF-8"):
        parse_survey(b"name = \xff", "x.toml")
