"""Mosaics are read once, front to back, with few rows in memory; astropy is the reference."""

import contextlib

import numpy as np
import pytest
from astropy.io import fits

from scanner.sources import mosaics
from scanner.sources.cutouts import Cutout
from scanner.sources.mosaics import Mosaic
from scanner.sources.tile_batches import read_mosaics, tile_batches
from scanner.vocabulary.geometry import MER_10
from scanner.vocabulary.rejections import Rejection
from tests.scanner.mosaic_files import (
    KINDS,
    NX,
    NY,
    assert_same,
    catalogue,
    expected,
    header,
    make_tile,
    mosaic,
    positions,
    wholes,
    write,
)
from tests.scanner.tile_rows import tile_cutouts


def opened(uri, max_pixels=2**30):
    return contextlib.closing(Mosaic(uri, 2**30, max_pixels))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("band_rows", [1, 33, 1000])
def test_rows_are_those_of_astropy_in_any_steps(tmp_path, monkeypatch, kind, band_rows):
    monkeypatch.setattr(mosaics, "BAND_BYTES", 4 * NX * band_rows)
    tile = make_tile(tmp_path, kind)
    whole = wholes(tile)["Y"][0]
    with opened(tile.mosaics["Y"]) as rows:
        rows.reserve(50)
        for low, high in ((0, 50), (10, 60), (60, 100), (250, 290), (NY - 20, NY)):
            rows.keep(low, high)
            stored = rows.rows[np.arange(low, high) % len(rows.rows)]
            assert stored.tobytes() == whole[low:high].tobytes()
        rows.finish()


def test_windows_beyond_the_mosaic_are_marked_as_outside(tmp_path):
    uri = write(tmp_path / "x.fits", mosaic(0), header(), "plain")
    with opened(uri) as rows:
        rows.keep(0, 40)
        window = rows.window(-10, NX - 30, 50)
        assert np.argwhere(~window.outside).min(axis=0).tolist() == [10, 0]
        assert np.count_nonzero(~window.outside) == 40 * 30
        assert (window.pixels[window.outside] == 0).all()
        np.testing.assert_array_equal(window.pixels[10:, :30], mosaic(0)[:40, NX - 30 :])
        assert rows.window(0, 0, 40).outside is None
        with pytest.raises(IndexError, match="rows 0-41 must lie within 0-40"):
            rows.window(0, 0, 41)


@pytest.mark.fault(28)
def test_more_rows_than_memory_allows_are_refused(tmp_path, monkeypatch):
    uri = write(tmp_path / "x.fits", mosaic(0), header(), "plain")
    monkeypatch.setattr(mosaics, "MAX_KEPT_PIXELS", 100 * NX)
    monkeypatch.setattr(mosaics, "BAND_BYTES", 4 * NX)
    with opened(uri) as rows:
        rows.reserve(99)
        with pytest.raises(Rejection, match=r"too_large: .*101 rows of 330 pixels are needed in memory, at most 33000 pixels"):
            rows.reserve(100)
        rows.keep(0, 100)
        with pytest.raises(Rejection, match="too_large"):
            rows.keep(0, 101)


@pytest.mark.parametrize("kind", ["plain", "gz", "rice"])
def test_rows_without_sources_are_skipped(tmp_path, kind):
    """The only source lies far up, so that the reader skips rows before and after it."""
    tile, sources = make_tile(tmp_path, kind), catalogue([(160, 410)])
    (row,), (other,) = tile_cutouts(tile, sources, MER_10), expected(tile, sources, MER_10)
    assert isinstance(row, Cutout)
    assert_same(row, other)


@pytest.mark.parametrize("kind", ["plain", "gz", "rice"])
def test_memory_does_not_depend_on_the_height_of_mosaics(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(mosaics, "BAND_BYTES", 4 * NX * 20)
    held = []
    keep = mosaics.Mosaic.keep

    def watched(self, low, high):
        keep(self, low, high)
        held.append((len(self.rows), self.stop - self.start))

    monkeypatch.setattr(mosaics.Mosaic, "keep", watched)
    tile = make_tile(tmp_path, kind)
    list(tile_batches(tile, catalogue(positions(300)), MER_10, 32))
    assert np.max(held, axis=0).tolist() == [120, 120]


@pytest.mark.fault(7)
@pytest.mark.parametrize("kind", ["plain", "gz", "rice"])
def test_mosaics_are_read_to_their_last_row_without_any_source(tmp_path, monkeypatch, kind):
    """The driver needs this to distinguish a file that crashes its reader from a row that does."""
    monkeypatch.setattr("scanner.sources.mosaics.BAND_BYTES", 4 * NX * 7)
    tile, n_rows = make_tile(tmp_path, kind), []
    for rows in (mosaics._StoredRows, mosaics._CompressedRows):
        real = rows.read

        def counting(self, out, real=real):
            n_rows.append(len(out))
            real(self, out)

        monkeypatch.setattr(rows, "read", counting)
    read_mosaics(tile, MER_10)
    assert sum(n_rows) == 4 * NY
    assert max(n_rows) <= 8


@pytest.mark.fault(23)
def test_damaged_tiles_of_a_compressed_mosaic_are_unreadable(tmp_path):
    tile = make_tile(tmp_path, "gzip tiles")
    path = tmp_path / "J.fits"
    data = bytearray(path.read_bytes().replace(b"CHECKSUM=", b"CHECKSOM=").replace(b"DATASUM =", b"DATASOM ="))
    start = bytes(data).index(b"\x1f\x8b")
    data[start : start + 20] = bytes(20)
    path.write_bytes(data)
    with pytest.raises(Rejection, match=r"fits_unreadable: J: J.fits\[COMPRESSED_IMAGE\]: cannot be decompressed \("):
        read_mosaics(tile, MER_10)


@pytest.mark.parametrize(("scale", "zero"), [(1, 0), (2, 0), (1, 5), (2, 5)])
def test_floats_are_scaled_as_the_header_says(tmp_path, scale, zero):
    stored = np.arange(12 * 9, dtype=np.float32).reshape(12, 9)
    path = tmp_path / "scaled.fits"
    # astropy would write scaled floats as plain ones.
    cards = fits.Header({"BSCALX": float(scale), "BZEROX": float(zero)})
    fits.PrimaryHDU(stored, cards).writeto(path)
    path.write_bytes(path.read_bytes().replace(b"BSCALX  ", b"BSCALE  ").replace(b"BZEROX  ", b"BZERO   "))
    with contextlib.closing(Mosaic(str(path), 10**6, 10**6, pixel_scale_arcsec=0.1)) as rows:
        rows.keep(0, 12)
        np.testing.assert_array_equal(rows.rows[:12], zero + scale * stored)
