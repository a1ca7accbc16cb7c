"""Images of a FITS file are found by name or number, with the pixel scale that astropy gives."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_scales

from scanner.files import fits_file
from scanner.files.fits_image import FitsReader, header_pixel_scale_arcsec
from scanner.vocabulary.rejections import RejectCode, Rejection
from tests.scanner.files.band_files import image, read_band


def wcs_header(**cards):
    return fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 10.0, "CRVAL2": 5.0, **cards})


@pytest.fixture
def four_bands(tmp_path):
    path = tmp_path / "object.fits"
    hdus = [fits.ImageHDU(image(seed=i), name=f"{band}_FLUX") for i, band in enumerate(("VIS", "NIR_Y", "NIR_J"))]
    fits.HDUList([fits.PrimaryHDU(), *hdus, fits.ImageHDU(np.zeros((2, 20, 20)), name="CUBE")]).writeto(path)
    return path


def rejection(reference, scale=0.1):
    with pytest.raises(Rejection) as caught:
        read_band(str(reference), scale)
    return caught.value


def code(reference, scale=0.1):
    return rejection(reference, scale).code


@pytest.mark.parametrize(("extension", "seed"), [("", 0), ("#NIR_Y_FLUX", 1), ("#nir_y_flux", 1), ("#3", 2), ("#", 0)])
def test_an_extension_is_found_by_name_or_number(four_bands, extension, seed):
    band = read_band(f"{four_bands}{extension}", 0.1)
    np.testing.assert_array_equal(band.pixels, image(seed=seed))
    assert band.pixels.dtype == np.dtype("=f4")
    assert band.pixel_scale_arcsec == 0.1
    np.testing.assert_array_equal(read_band(f"file://{four_bands}{extension}", 0.1).pixels, band.pixels)


def test_a_missing_extension_lists_the_existing_ones(four_bands):
    found = rejection(f"{four_bands}#NIR_H_FLUX")
    assert found.code is RejectCode.MISSING_EXTENSION
    assert "object.fits" in found.detail
    assert "VIS_FLUX, NIR_Y_FLUX" in found.detail
    assert code(f"{four_bands}#9") is RejectCode.MISSING_EXTENSION


@pytest.mark.fault(26)
def test_only_two_dimensional_images_are_cutouts(four_bands, tmp_path):
    assert code(f"{four_bands}#CUBE") is RejectCode.WRONG_SHAPE
    assert code(f"{four_bands}#0") is RejectCode.WRONG_SHAPE
    fits.writeto(tmp_path / "line.fits", np.zeros(50))
    assert code(tmp_path / "line.fits") is RejectCode.WRONG_SHAPE
    table = fits.BinTableHDU.from_columns([fits.Column("a", "D", array=np.zeros(3))], name="T")
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(tmp_path / "table.fits")
    assert code(tmp_path / "table.fits#T") is RejectCode.WRONG_SHAPE


@pytest.mark.parametrize(
    "wcs",
    [
        {"CD1_1": -2e-5, "CD1_2": 1e-5, "CD2_1": 1e-5, "CD2_2": 2e-5},
        {"CDELT1": -2.8e-5, "CDELT2": 2.8e-5},
        {"CDELT1": 1.0, "CDELT2": 1.0, "PC1_1": -3e-5, "PC2_2": 3e-5},
        {"CDELT1": -2e-5, "CDELT2": 2e-5, "PC1_1": 0.8, "PC1_2": 0.6, "PC2_1": -0.6, "PC2_2": 0.8},
        {"CDELT1": -2e-5, "CDELT2": 4e-5, "PC1_1": 0.8, "PC1_2": 0.6, "PC2_1": -0.3, "PC2_2": 0.4},
        {"CDELT1": 0.1, "CDELT2": 0.1, "CUNIT1": "arcsec", "CUNIT2": "arcsec"},
        {"CD1_1": -2.785e-5, "CD2_2": 2.775e-5},
    ],
)
def test_the_pixel_scale_equals_that_of_astropy(wcs):
    header = wcs_header(**wcs)
    expected = np.sqrt(np.prod(proj_plane_pixel_scales(WCS(header)))) * 3600
    assert header_pixel_scale_arcsec(header, "x") == pytest.approx(expected, rel=1e-9)


def test_pixel_scale_comes_from_argument_then_wcs_then_keyword(tmp_path):
    path = tmp_path / "x.fits"
    fits.writeto(path, image(), wcs_header(CD1_1=-1e-4, CD2_2=1e-4, PIXSCALE=0.7))
    assert read_band(str(path), 0.2).pixel_scale_arcsec == 0.2
    assert read_band(str(path)).pixel_scale_arcsec == pytest.approx(0.36)
    assert header_pixel_scale_arcsec(fits.Header({"PIXSCALE": 0.7}), "x") == 0.7


@pytest.mark.fault(27)
@pytest.mark.parametrize(
    "header",
    [
        fits.Header(),
        fits.Header({"CDELT1": 1.0, "CDELT2": 1.0}),  # pixels, not degrees
        wcs_header(),
        wcs_header(CD1_1=0.0, CD2_2=0.0),
        wcs_header(CDELT1=-2e-5, CDELT2=3e-5),
        wcs_header(CDELT1="much", CDELT2=3e-5),
        fits.Header({"PIXSCALE": -1.0}),
    ],
)
def test_a_header_without_usable_pixel_scale_is_rejected(header):
    with pytest.raises(Rejection) as caught:
        header_pixel_scale_arcsec(header, "x.fits[VIS]")
    assert caught.value.code is RejectCode.NO_PIXEL_SCALE
    assert "x.fits[VIS]" in caught.value.detail


def test_bands_in_one_file_cost_one_read(four_bands, monkeypatch):
    reads = []
    read_bytes = fits_file.read_bytes
    monkeypatch.setattr(fits_file, "read_bytes", lambda uri: reads.append(uri) or read_bytes(uri))
    reader = FitsReader()
    for extension in ("VIS_FLUX", "NIR_Y_FLUX", "NIR_J_FLUX"):
        reader.read_band(f"{four_bands}#{extension}", 0.1)
    assert reads == [str(four_bands)]


@pytest.mark.fault(29)
def test_random_damage_gives_pixels_or_a_rejection(four_bands):
    """Mutated files raise no other exception."""
    good = four_bands.read_bytes()
    rng = np.random.default_rng(5)
    mutated = four_bands.with_name("mutated.fits")
    outcomes = set()
    for _ in range(300):
        data = bytearray(good)
        for position in rng.integers(0, len(data) if rng.random() < 0.3 else 2880 * 2, rng.integers(1, 30)):
            data[position] = rng.integers(0, 256)
        mutated.write_bytes(data)
        try:
            outcomes.add(read_band(f"{mutated}#VIS_FLUX", 0.1).pixels.shape)
        except Rejection as found:
            outcomes.add(found.code)
    assert (20, 23) in outcomes
    assert len(outcomes) > 2


def test_a_name_that_no_file_can_have_is_reported(tmp_path):
    found = rejection(f"{tmp_path}/a\0b.fits")
    assert (found.code, found.detail) == (RejectCode.MISSING_FILE, "a\0b.fits: cannot be opened: embedded null byte")
    assert rejection(f"{tmp_path}/gone.fits").detail == "gone.fits: no such file"
