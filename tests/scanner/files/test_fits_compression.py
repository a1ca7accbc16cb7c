"""Compressed images are checked before astropy unpacks them."""

import numpy as np
import pytest
from astropy.io import fits

from scanner.files.fits_image import read_band
from scanner.vocabulary.rejections import RejectCode, Rejection


def code(reference):
    with pytest.raises(Rejection) as caught:
        read_band(str(reference), 0.1)
    return caught.value.code


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
