"""A stream gives the bytes of one HDU, whatever the sizes in which they arrive, and checks the rest of the file at the end."""

import contextlib
import gzip

import numpy as np
import pytest
from astropy.io import fits

from scanner.files import fits_stream
from scanner.files.fits_image import no_image
from scanner.files.fits_stream import FitsStream, image_stream
from scanner.vocabulary.rejections import Rejection

PIXELS = np.random.default_rng(0).normal(size=(31, 47))


@pytest.fixture
def path(tmp_path):
    more = fits.ImageHDU(np.arange(7, dtype=np.uint8), name="MORE")
    path = tmp_path / "x.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(PIXELS, name="SCI"), more]).writeto(path, checksum=True)
    return path


def is_image(hdu):
    return len(hdu.shape) == 2


@pytest.mark.parametrize("block_bytes", [2, 7, 2880, 10**6])
@pytest.mark.parametrize("packed", [False, True])
def test_pixels_arrive_whole_however_blocks_are_cut(path, monkeypatch, block_bytes, packed):
    if packed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    data = path.read_bytes()
    blocks = [data[at : at + block_bytes] for at in range(0, len(data), block_bytes)]
    monkeypatch.setattr(fits_stream, "read_blocks", lambda _: iter(blocks))
    with contextlib.closing(FitsStream(str(path), 10**6, is_image, no_image)) as stream:
        rows = [b"".join(stream.pieces(47 * 8)) for _ in range(20)]
        pieces = list(stream.pieces(11 * 47 * 8))
        stream.finish()
    assert all(len(piece) % 8 == 0 for piece in pieces)
    assert b"".join([*rows, *pieces]) == PIXELS.astype(">f8").tobytes()


@pytest.mark.parametrize("block_bytes", [2, 7, 2880, 10**6])
def test_floats_are_read_and_summed_at_once(path, monkeypatch, block_bytes):
    pixels = PIXELS.astype(np.float32)
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(pixels, name="SCI")]).writeto(path, checksum=True, overwrite=True)
    data = path.read_bytes()
    last = data.rindex(pixels[-1, -1:].astype(">f4").tobytes()) + 3

    def pixels_of(data):
        blocks = [data[at : at + block_bytes] for at in range(0, len(data), block_bytes)]
        monkeypatch.setattr(fits_stream, "read_blocks", lambda _: iter(blocks))
        out = np.empty(31 * 47, np.float32)
        with contextlib.closing(FitsStream(str(path), 10**6, is_image, no_image)) as stream:
            for part in (out[:100], out[100:]):
                stream.read_floats(part)
            stream.finish()
        return out.reshape(31, 47)

    np.testing.assert_array_equal(pixels_of(data), pixels)
    with pytest.raises(Rejection, match=r"x.fits\[SCI\]: DATASUM is"):
        pixels_of(data[:last] + bytes([data[last] ^ 1]) + data[last + 1 :])


def read_some(path, n_rows):
    with contextlib.closing(FitsStream(str(path), 10**6, is_image, no_image)) as stream:
        list(stream.pieces(n_rows * 47 * 8))
        stream.finish()


@pytest.mark.fault(22, 23)
@pytest.mark.parametrize("n_rows", [0, 10])
def test_the_end_reveals_damage_of_unread_bytes(path, n_rows, measured):
    data = path.read_bytes()
    with fits.open(path) as hdus:
        last_pixel, later = hdus["SCI"].fileinfo()["datLoc"] + PIXELS.nbytes - 1, hdus["MORE"].fileinfo()["datLoc"]
    for damaged, says in {
        data[: later + 3]: "fits_truncated: x.fits: HDU 2 should end",
        data[: later - 100]: "fits_truncated: x.fits: the file ends in the header of HDU 2",
        data[:last_pixel] + bytes([data[last_pixel] ^ 1]) + data[last_pixel + 1 :]: r"x.fits\[SCI\]: DATASUM is",
    }.items():
        path.write_bytes(damaged)
        with pytest.raises(Rejection, match=says):
            read_some(path, n_rows)
    path.write_bytes(data)
    read_some(path, n_rows)
    measured(row=22, runs=2)
    measured(row=23, runs=1)


def test_a_packed_file_can_be_read_again_until_forgotten(path):
    data = path.read_bytes()
    path.write_bytes(gzip.compress(data))
    with contextlib.closing(FitsStream(str(path), 10**6, is_image, no_image)) as stream:
        stream.finish()
        assert stream.reopened().read() == data
        stream.forget_copy()
        with pytest.raises(ValueError, match="no copy was kept"):
            stream.reopened()


def test_a_file_without_a_wanted_hdu_says_what_it_has(path):
    with pytest.raises(KeyError, match=r"x\.fits has 3"):
        FitsStream(str(path), 10**6, lambda _: False, lambda name, hdus: KeyError(f"{name} has {len(hdus)}"))
    with pytest.raises(Rejection, match="too_large"):
        image_stream(str(path), 10**6, PIXELS.size - 1)
