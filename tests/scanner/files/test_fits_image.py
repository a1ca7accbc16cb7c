"""Good and damaged FITS files; astropy is the reference for the good ones."""

import gzip
import os

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_scales

import scanner.files.fits_image as module
from infra.store.storage import StorageError
from scanner.files.fits_image import FitsReader, header_pixel_scale_arcsec, read_band
from scanner.vocabulary.rejections import RejectCode, Rejection


def image(n=20, seed=0):
    return np.random.default_rng(seed).normal(0, 1, (n, n + 3)).astype(np.float32)


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


@pytest.mark.fault(26)
@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "u4", "f4", "f8"])
def test_every_stored_type_is_read_as_astropy_reads_it(tmp_path, dtype):
    path = tmp_path / "x.fits"
    values = np.random.default_rng(0).integers(0, 200, (17, 18)).astype(dtype)  # u2, u4 are stored with BZERO
    fits.writeto(path, values)
    np.testing.assert_array_equal(read_band(str(path), 0.1).pixels, values.astype(np.float32))


@pytest.mark.fault(26)
def test_bscale_bzero_and_blank_are_applied_to_integers(tmp_path):
    path = tmp_path / "x.fits"
    stored = np.arange(-200, 200, dtype=np.int16).reshape(20, 20)
    hdu = fits.PrimaryHDU(stored)
    hdu.header["BLANK"] = -200
    hdu.writeto(path)
    with fits.open(path, mode="update", do_not_scale_image_data=True) as hdus:
        hdus[0].header["BSCALE"], hdus[0].header["BZERO"] = 0.25, 100.0
    expected = (stored * 0.25 + 100).astype(np.float32)
    expected[0, 0] = np.nan
    np.testing.assert_array_equal(read_band(str(path), 0.1).pixels, expected)


@pytest.mark.fault(26)
def test_double_values_that_float32_cannot_hold_become_infinite(tmp_path):
    fits.writeto(tmp_path / "x.fits", np.full((20, 20), 1e300))
    assert np.isposinf(read_band(str(tmp_path / "x.fits"), 0.1).pixels).all()


def test_compressed_images_and_gzip_files_are_read(tmp_path):
    values = np.random.default_rng(0).integers(0, 99, (30, 30)).astype(np.int16)
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(values, name="VIS")]).writeto(tmp_path / "c.fits")
    np.testing.assert_array_equal(read_band(f"{tmp_path}/c.fits#VIS", 0.1).pixels, values)
    (tmp_path / "c.fits.gz").write_bytes(packed := gzip.compress((tmp_path / "c.fits").read_bytes()))
    np.testing.assert_array_equal(read_band(f"{tmp_path}/c.fits.gz", 0.1).pixels, values)
    (tmp_path / "cut.fits.gz").write_bytes(packed[: len(packed) // 2])
    assert code(tmp_path / "cut.fits.gz") is RejectCode.FITS_TRUNCATED
    (tmp_path / "bad.fits.gz").write_bytes(packed[:10] + bytes(50))
    assert code(tmp_path / "bad.fits.gz") in {RejectCode.FITS_UNREADABLE, RejectCode.FITS_TRUNCATED}


@pytest.mark.fault(23)
def test_a_damaged_compressed_image_is_unreadable(tmp_path):
    path = tmp_path / "c.fits"
    values = np.random.default_rng(0).integers(0, 99, (30, 30)).astype(np.int16)
    hdus = fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(values, compression_type="GZIP_1")])
    hdus.writeto(path)
    data = bytearray(path.read_bytes())
    start = bytes(data).index(b"\x1f\x8b")
    data[start : start + 20] = bytes(20)
    path.write_bytes(data)
    assert code(path) is RejectCode.FITS_UNREADABLE


@pytest.mark.fault(28)
def test_a_compressed_image_is_checked_before_it_is_unpacked(tmp_path):
    path = tmp_path / "c.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(np.zeros((30, 30), np.int16))]).writeto(path)
    data = path.read_bytes()
    size = b"ZNAXIS1 =                   30"
    assert data.count(size) == 1
    path.write_bytes(data.replace(size, b"ZNAXIS1 =           2000000000"))
    assert code(path) is RejectCode.TOO_LARGE


@pytest.mark.fault(22)
def test_a_file_cut_anywhere_is_never_read(tmp_path):
    """The reader rejects the file even if the cut is in the padding, or after the requested extension."""
    whole = tmp_path / "whole.fits"
    fits.HDUList([fits.PrimaryHDU(image()), fits.ImageHDU(image(seed=1), name="H")]).writeto(whole)
    data = whole.read_bytes()
    n = len(data)
    cuts = {1, 5, 80, 2879, 2880, 2881, n - 1, n - 80, n - 2880, n // 2 + 3, *(n * k // 10 for k in range(1, 10))}
    boundary = n // 2  # both HDUs are equally long: a cut here leaves a valid file with one HDU
    for cut in cuts - {boundary}:
        (tmp_path / "cut.fits").write_bytes(data[:cut])
        for extension in ("", "#H"):
            assert code(f"{tmp_path}/cut.fits{extension}") is RejectCode.FITS_TRUNCATED, cut
    (tmp_path / "cut.fits").write_bytes(data[:boundary])
    assert code(f"{tmp_path}/cut.fits#H") is RejectCode.MISSING_EXTENSION


@pytest.mark.fault(23)
def test_checksums_reveal_a_flipped_bit(tmp_path):
    path = tmp_path / "x.fits"
    fits.writeto(path, image(), checksum=True)
    np.testing.assert_array_equal(read_band(str(path), 0.1).pixels, image())
    good = path.read_bytes()
    for position, reason in ((2880 + 100, "DATASUM"), (good.index(b"BITPIX  =") + 40, "CHECKSUM")):
        bad = bytearray(good)
        bad[position] ^= 1
        path.write_bytes(bad)
        found = rejection(path)
        assert found.code is RejectCode.FITS_UNREADABLE
        assert reason in found.detail


@pytest.mark.fault(29)
@pytest.mark.parametrize("content", [b"", b"<html><body>404</body></html>", b"\0" * 5760, b"SIMPLE  =  T".ljust(2880)])
def test_a_file_that_is_not_fits_is_rejected(tmp_path, content):
    (tmp_path / "x.fits").write_bytes(content)
    assert code(tmp_path / "x.fits") in {RejectCode.FITS_UNREADABLE, RejectCode.FITS_TRUNCATED}
    if not content.startswith(b"SIMPLE"):
        assert code(tmp_path / "x.fits") is RejectCode.FITS_UNREADABLE


def cards(**values):
    return b"".join(f"{key:8}= {value:>20}".ljust(80).encode() for key, value in values.items()) + b"END".ljust(80)


@pytest.mark.fault(28)
@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({"BITPIX": -32, "NAXIS": 2, "NAXIS1": 2_000_000_000, "NAXIS2": 2_000_000_000}, RejectCode.TOO_LARGE),
        ({"BITPIX": -32, "NAXIS": 2, "NAXIS1": 4097, "NAXIS2": 4096}, RejectCode.TOO_LARGE),
        ({"BITPIX": -32, "NAXIS": 2, "NAXIS1": -4, "NAXIS2": 4}, RejectCode.FITS_UNREADABLE),
        ({"BITPIX": 13, "NAXIS": 2, "NAXIS1": 4, "NAXIS2": 4}, RejectCode.FITS_UNREADABLE),
        ({"BITPIX": -32, "NAXIS": 2, "NAXIS1": 4}, RejectCode.FITS_UNREADABLE),
        ({"BITPIX": "'a'", "NAXIS": 2, "NAXIS1": 4, "NAXIS2": 4}, RejectCode.FITS_UNREADABLE),
        ({"BITPIX": -32, "NAXIS": 2, "NAXIS1": 4, "NAXIS2": 4, "BSCALE": "'a'"}, RejectCode.FITS_UNREADABLE),
        ({"BITPIX": -32, "NAXIS": 2, "NAXIS1": 4, "NAXIS2": 4, "PCOUNT": -9}, RejectCode.FITS_UNREADABLE),
        ({"BITPIX": -32, "NAXIS": 1000}, RejectCode.FITS_UNREADABLE),
        ({"BITPIX": -32, "NAXIS": 2, "NAXIS1": 40, "NAXIS2": 40, "GCOUNT": 0}, RejectCode.FITS_UNREADABLE),
        ({"BITPIX": -32, "NAXIS": 2, "NAXIS1": 0, "NAXIS2": 4}, RejectCode.WRONG_SHAPE),
    ],
)
def test_impossible_headers_are_rejected_before_anything_is_allocated(tmp_path, header, expected):
    (tmp_path / "x.fits").write_bytes(cards(SIMPLE="T", **header).ljust(2880) + bytes(2880))
    assert code(tmp_path / "x.fits") is expected


@pytest.mark.fault(28)
def test_a_header_without_end_card_is_rejected(tmp_path):
    (tmp_path / "x.fits").write_bytes(b"SIMPLE  =                    T".ljust(2880 * 1100))
    assert code(tmp_path / "x.fits") is RejectCode.FITS_UNREADABLE


@pytest.mark.fault(28)
def test_a_large_file_is_refused_without_reading(tmp_path, monkeypatch):
    path = tmp_path / "x.fits"
    path.touch()
    os.truncate(path, module.MAX_FILE_BYTES + 1)  # sparse
    assert code(path) is RejectCode.TOO_LARGE
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 100_000)
    (tmp_path / "bomb.fits.gz").write_bytes(gzip.compress(bytes(1_000_000)))
    assert code(tmp_path / "bomb.fits.gz") is RejectCode.TOO_LARGE


@pytest.mark.parametrize("name", ["none.fits", "none/none.fits", "", "a\0b.fits", "."])
def test_a_missing_file_is_reported_as_missing(tmp_path, name):
    assert code(tmp_path / name if name else "") is RejectCode.MISSING_FILE


@pytest.mark.parametrize(
    "error", [PermissionError(13, "Permission denied"), TimeoutError(), StorageError("s3://b/k.fits: down")]
)
def test_a_failing_store_gives_an_io_error(monkeypatch, error):
    def fail(uri):
        raise error

    monkeypatch.setattr(module, "info", fail)
    found = rejection("s3://b/k.fits#VIS")
    assert found.code is RejectCode.IO_ERROR
    assert found.detail.startswith("k.fits: ")
    assert len(found.detail) > len("k.fits: ")


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
    read_bytes = module.read_bytes
    monkeypatch.setattr(module, "read_bytes", lambda uri: reads.append(uri) or read_bytes(uri))
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
