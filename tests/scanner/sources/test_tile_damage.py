"""Damaged mosaics reject the whole tile, with the same codes and messages as small files."""

import gzip
from dataclasses import replace

import pytest
from astropy.io import fits

from scanner.files import fits_stream
from scanner.sources import tile_batches as module
from scanner.sources.tile_batches import read_mosaics, tile_batches
from scanner.sources.tiles import Tile
from scanner.vocabulary.geometry import MER_10
from scanner.vocabulary.rejections import RejectCode, Rejection
from tests.scanner.files.band_files import read_band
from tests.scanner.mosaic_files import NX, NY, catalogue, header, make_tile, mosaic, positions, write
from tests.scanner.tile_rows import tile_cutouts


def outcome(tile, sources, geometry=MER_10, batch_size=8):
    """Return the number of batches, and the rejection that was raised, if any."""
    n_batches = 0
    try:
        for _ in tile_batches(tile, sources, geometry, batch_size):
            n_batches += 1
    except Rejection as rejection:
        return n_batches, rejection
    return n_batches, None


@pytest.mark.fault(22)
def test_a_file_cut_anywhere_is_refused_before_any_pixel(tmp_path):
    tile, sources = make_tile(tmp_path, "second"), catalogue(positions())
    path = tmp_path / "J.fits"
    data = path.read_bytes()
    n = len(data)
    with fits.open(path) as hdus:
        ends = {hdu.fileinfo()["datLoc"] + hdu.fileinfo()["datSpan"] for hdu in hdus}
    for cut in {1, 5, 2879, 2881, 5000, n // 3, n // 2, n - 1, n - 2880, n - 2881, n - 5000} - ends:
        path.write_bytes(data[:cut])
        n_batches, rejection = outcome(tile, sources)
        assert (rejection.code, rejection.detail[:3]) == (RejectCode.FITS_TRUNCATED, "J: "), cut
        # The reader must first read the header of a later HDU to detect that only this HDU is cut.
        assert n_batches == 0 or cut > n - 6000
        assert {row.code for row in tile_cutouts(tile, sources, MER_10)} == {RejectCode.FITS_TRUNCATED}


@pytest.mark.parametrize("packed", [False, True])
def test_damaged_mosaics_are_rejected_like_small_files(tmp_path, packed):
    """The same file as cutout and as mosaic is rejected with the same code and message."""
    tile, sources = make_tile(tmp_path, "gz" if packed else "plain"), catalogue(positions())
    path = tmp_path / tile.mosaics["Y"].rpartition("/")[2]
    whole = path.read_bytes()
    flipped = bytearray(gzip.decompress(whole) if packed else whole)
    flipped[2880 * 100] ^= 4
    flipped = gzip.compress(flipped, 1) if packed else bytes(flipped)
    for damaged in (b"", b"<html>", whole[:1000], whole[: len(whole) // 2], whole[:-2900], flipped, whole[:50] + bytes(9000)):
        path.write_bytes(damaged)
        with pytest.raises(Rejection) as caught:
            read_band(str(path))
        _, rejection = outcome(tile, sources)
        assert rejection.code is caught.value.code
        if not packed:
            assert rejection.detail == f"Y: {caught.value.detail}"
    path.unlink()
    assert outcome(tile, sources)[1].detail == f"Y: {path.name}: no such file"


@pytest.mark.parametrize("missing", [False, True])
def test_reading_damaged_mosaics_fails_as_scanning_does(tmp_path, missing):
    tile = make_tile(tmp_path, "plain")
    path = tmp_path / "J.fits"
    path.write_bytes(path.read_bytes()[:-3000])
    uris = {band: uri for band, uri in tile.mosaics.items() if not (missing and band == "Y")}
    with pytest.raises(Rejection) as caught:
        read_mosaics(replace(tile, mosaics=uris), MER_10)
    code = RejectCode.MISSING_BAND if missing else RejectCode.FITS_TRUNCATED
    assert (caught.value.code, caught.value.detail[:3]) == (code, "Y: " if missing else "J: ")


@pytest.mark.fault(23)
@pytest.mark.parametrize("kind", ["plain", "gz", "second", "scaled", "rice"])
@pytest.mark.parametrize("where", [0.2, 0.999])
def test_a_flipped_bit_rejects_the_whole_tile(tmp_path, kind, where):
    """The flipped bit may lie in the last row, in which there is no source."""
    tile, sources = make_tile(tmp_path, kind), catalogue([(160, y) for y in range(60, 400, 10)])
    path = tmp_path / tile.mosaics["H"].rpartition("/")[2]
    with fits.open(path) as hdus:
        info = max((hdu.fileinfo() for hdu in hdus), key=lambda info: info["datSpan"])
        start, n = info["datLoc"], info["datSpan"]
    data = bytearray(gzip.decompress(path.read_bytes()) if kind == "gz" else path.read_bytes())
    data[start + int(where * n)] ^= 1
    path.write_bytes(gzip.compress(data, 1) if kind == "gz" else data)
    n_batches, rejection = outcome(tile, sources)
    assert rejection.code is RejectCode.FITS_UNREADABLE
    assert "DATASUM" in rejection.detail
    assert n_batches == (0 if kind == "rice" else 5)


@pytest.mark.fault(22)
def test_later_hdus_must_be_whole_and_readable(tmp_path):
    tile, sources = make_tile(tmp_path), catalogue(positions())
    path = tmp_path / "VIS.fits"
    good = path.read_bytes()
    extension = b"XTENSION= 'IMAGE   '".ljust(80)
    for more, code in [
        (b"XTEN", RejectCode.FITS_TRUNCATED),
        (extension, RejectCode.FITS_TRUNCATED),
        ((extension + b"BITPIX  =                    7".ljust(80) + b"END".ljust(80)).ljust(2880), RejectCode.FITS_UNREADABLE),
        (extension.ljust(2880 * 1100), RejectCode.FITS_UNREADABLE),
    ]:
        path.write_bytes(good + more)
        n_batches, rejection = outcome(tile, sources)
        assert n_batches > 0
        assert rejection.code is code
    path.write_bytes(good + b"special records".ljust(2880))
    assert outcome(tile, sources)[1] is None


def test_missing_and_too_large_mosaics_are_refused_at_once(tmp_path, monkeypatch):
    tile, sources = make_tile(tmp_path), catalogue(positions())
    few = Tile("1", {band: uri for band, uri in tile.mosaics.items() if band != "Y"}, "")
    assert (outcome(few, sources)[0], str(outcome(few, sources)[1])) == (0, "missing_band: Y: the tile has no mosaic")
    monkeypatch.setattr(module, "MAX_MOSAIC_PIXELS", NX * NY - 1)
    assert outcome(tile, sources)[1].code is RejectCode.TOO_LARGE
    monkeypatch.setattr(module, "MAX_MOSAIC_BYTES", 100_000)
    assert (
        outcome(tile, sources)[1].detail
        == f"VIS: VIS.fits: {(tmp_path / 'VIS.fits').stat().st_size} bytes, at most 100000 are read"
    )


@pytest.mark.fault(28)
def test_a_gzip_bomb_is_not_unpacked(tmp_path, monkeypatch):
    tile = make_tile(tmp_path, "gz")
    monkeypatch.setattr(module, "MAX_MOSAIC_BYTES", 400_000)
    (tmp_path / "Y.gz").write_bytes((tmp_path / "VIS.gz").read_bytes()[:300_000])
    packed = gzip.compress((tmp_path / "VIS.fits").read_bytes()[:2880] + bytes(10**6))
    (tmp_path / "VIS.gz").write_bytes(packed)
    _, rejection = outcome(tile, catalogue([(100, 400)]))
    assert str(rejection) == "too_large: VIS: VIS.gz: more than 400000 bytes when unpacked"


def test_a_store_failure_while_reading_is_an_io_error(tmp_path, monkeypatch):
    blocks = fits_stream.read_blocks

    def failing(file):
        yield next(blocks(file))[:200_000]
        raise TimeoutError

    tile = make_tile(tmp_path)
    monkeypatch.setattr(fits_stream, "read_blocks", failing)
    _, rejection = outcome(tile, catalogue(positions()))
    assert str(rejection) == "io_error: VIS: VIS.fits: TimeoutError"


@pytest.mark.fault(27)
def test_a_wrong_wcs_in_one_band_rejects_every_row(tmp_path):
    tile, sources = make_tile(tmp_path), catalogue([(160, 200), (150, 300)])
    for cards, code in [
        ({"CRVAL1": 300.0}, RejectCode.OUTSIDE_TILE),
        ({"RADESYS": "FK5", "EQUINOX": 1950.0}, RejectCode.BAD_WCS),
        ({"PC1_1": 0.0, "PC2_2": 0.0}, RejectCode.NO_PIXEL_SCALE),
        ({"CTYPE1": "LINEAR"}, RejectCode.NO_PIXEL_SCALE),
    ]:
        wrong = header()
        wrong.update(cards)
        (tmp_path / "J.fits").unlink()
        write(tmp_path / "J.fits", mosaic(2), wrong, "plain")
        rows = tile_cutouts(tile, sources, MER_10)
        assert [row.code for row in rows] == [code] * 2, cards
        assert all(row.detail.startswith("J: ") for row in rows)
