"""Pixels and sums of files in memory; astropy is the reference."""

import gzip

import numpy as np
import pytest
from astropy.io import fits

from scanner.vocabulary.rejections import RejectCode
from tests.scanner.files.band_files import code, image, read_band, rejection


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
def test_checksums_reveal_a_flipped_bit(tmp_path):
    path = tmp_path / "x.fits"
    fits.writeto(path, image(), checksum=True)
    np.testing.assert_array_equal(read_band(str(path), 0.1).pixels, image())
    good = path.read_bytes()
    for position, reason in ((2880 + 100, "DATASUM"), (good.index(b"BITPIX  =") + 40, "CHECKSUM")):
        bad = bytearray(good)
        bad[position] ^= 1
        path.write_bytes(bad)
        refused = rejection(path)
        assert refused.code is RejectCode.FITS_UNREADABLE
        assert reason in refused.detail
