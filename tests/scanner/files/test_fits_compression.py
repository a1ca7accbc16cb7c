"""Compressed images are checked before astropy unpacks them."""

import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest
from astropy.io import fits

from scanner.files import fits_compression
from scanner.vocabulary.rejections import RejectCode, Rejection
from tests.scanner.files.band_files import read_band


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


WITHOUT_DECODERS = """
import sys
from astropy.io import fits
sys.modules.update(dict.fromkeys(sys.argv[1:]))
import scanner.files.fits_compression
"""


@pytest.mark.fault(28)
def test_an_astropy_without_the_known_decoders_is_refused():
    command = [sys.executable, "-c", WITHOUT_DECODERS, *fits_compression._CODECS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ImportError: astropy " in done.stderr
    assert "install another version of astropy" in done.stderr


@pytest.mark.fault(28)
def test_decoders_without_the_limited_function_are_refused(monkeypatch):
    for name in fits_compression._CODECS:
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    with pytest.raises(ImportError, match="has no gzip_decompress in"):
        fits_compression._decoders()


@pytest.mark.fault(28)
def test_astropy_unpacks_with_the_limited_function(tmp_path, monkeypatch):
    path = tmp_path / "c.fits"
    hdu = fits.CompImageHDU(np.eye(30, dtype=np.int16), compression_type="GZIP_1", tile_shape=(30, 30))
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    assert read_band(str(path), 0.1).pixels.sum() == 30
    monkeypatch.setattr(fits_compression, "MAX_TILE_BYTES", 100)
    assert code(path) is RejectCode.FITS_UNREADABLE
