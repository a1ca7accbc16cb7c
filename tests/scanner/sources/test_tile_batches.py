"""Compares batches of a tile with astropy's cutouts of the whole mosaics, for every kind of file and way to read it."""

import time
from pathlib import Path

import numpy as np
import pytest
from astropy.wcs import WCS

from infra.store import s3 as objects
from infra.store.storage import create_if_absent
from scanner.files import fits_stream
from scanner.sources import mosaics
from scanner.sources.cutouts import Cutout
from scanner.sources.tile_batches import tile_batches
from scanner.sources.tiles import Tile
from scanner.vocabulary.geometry import CHALLENGE, GEOMETRIES, MER, MER_10
from scanner.vocabulary.rejections import RejectCode, Rejection
from tests.scanner.mosaic_files import (
    KINDS,
    NX,
    OUTSIDE,
    assert_same,
    catalogue,
    expected,
    header,
    make_tile,
    mosaic,
    positions,
    rows_of,
)
from tests.scanner.tile_rows import tile_cutouts


@pytest.fixture(scope="module", params=GEOMETRIES.values(), ids=GEOMETRIES)
def cut_by_astropy(request, tmp_path_factory):
    """Return a geometry, a tile, its sources, and the cutout that astropy makes of each or the reason why there is none."""
    tile, sources = make_tile(tmp_path_factory.mktemp("tile")), catalogue(positions())
    return request.param, tile, sources, expected(tile, sources, request.param)


@pytest.mark.parametrize(("band_rows", "batch_sizes"), [(1, (7,)), (37, (1, 64, 1000)), (10_000, (64,))])
def test_every_source_equals_the_cutout_of_astropy(cut_by_astropy, monkeypatch, band_rows, batch_sizes):
    monkeypatch.setattr(mosaics, "BAND_BYTES", 4 * NX * band_rows)
    geometry, tile, sources, outcomes = cut_by_astropy
    n = len(sources.object_ids)
    codes = {row if isinstance(row, RejectCode) else getattr(row, "code", None) for row in outcomes}
    assert {RejectCode.OUTSIDE_TILE, RejectCode.NOT_FINITE, None} <= codes
    for batch_size in batch_sizes:
        batches = list(tile_batches(tile, sources, geometry, batch_size))
        assert [batch.n_rows for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)
        for row, other in zip(rows_of(batches, n), outcomes, strict=True):
            assert_same(row, other)
    places = np.concatenate([batch.rows for batch in batches])
    y = WCS(header()).all_world2pix(sources.ra[places], sources.dec[places], 0)[1]
    assert (np.diff(y) > -1).all()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_gives_the_pixels_that_astropy_reads(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(mosaics, "BAND_BYTES", 4 * NX * 40)
    tile, sources = make_tile(tmp_path, kind), catalogue(positions())
    for row, other in zip(tile_cutouts(tile, sources, MER_10), expected(tile, sources, MER_10), strict=True):
        assert_same(row, other)


@pytest.mark.fault(27)
def test_mosaics_may_be_shifted_and_rotated_against_each_other(tmp_path):
    heads = {"VIS": header(), "Y": header(shift=(3.4, -7.7)), "J": header(turned=True), "H": header((-40, 90))}
    tile, sources = make_tile(tmp_path, heads=heads), catalogue(positions())
    for row, other in zip(tile_cutouts(tile, sources, MER_10), expected(tile, sources, MER_10), strict=True):
        assert_same(row, other)


@pytest.mark.fault(27)
def test_bands_a_pixel_apart_are_cut_around_one_position(tmp_path):
    """Each band is cut by its own header: at the source's position, which has other pixel indices in each band."""
    heads = dict.fromkeys(("VIS", "Y", "H"), header()) | {"J": header(shift=(1.0, -1.0))}
    tile, sources = make_tile(tmp_path, heads=heads), catalogue([(160.2, 200.3)])
    (row,) = tile_cutouts(tile, sources, MER_10)
    assert isinstance(row, Cutout)
    np.testing.assert_array_equal(row.stamps["Y"], mosaic(1)[151:251, 111:211])
    np.testing.assert_array_equal(row.stamps["J"], mosaic(2)[150:250, 112:212])


@pytest.mark.parametrize("kind", ["plain", "gz", "second", "rice", "packed rice"])
def test_files_are_read_once(tmp_path, monkeypatch, kind):
    read = []
    blocks = fits_stream.read_blocks

    def counted(file):
        for block in blocks(file):
            read.append(len(block))
            yield block

    monkeypatch.setattr(fits_stream, "read_blocks", counted)
    tile = make_tile(tmp_path, kind)
    list(tile_batches(tile, catalogue(positions()), MER, 16))
    assert sum(read) == sum((tmp_path / uri).stat().st_size for uri in tile.mosaics.values())


@pytest.mark.server
@pytest.mark.parametrize("kind", ["plain", "gz", "rice"])
def test_mosaics_in_a_store_are_read_once_in_large_pieces(tmp_path, s3, monkeypatch, kind):
    local, sources = make_tile(tmp_path, kind), catalogue(positions())
    stored = Tile("1", {band: f"{s3}/{uri.rpartition('/')[2]}" for band, uri in local.mosaics.items()}, "")
    for band, uri in local.mosaics.items():
        create_if_absent(stored.mosaics[band], (tmp_path / uri).read_bytes(), "1")
    monkeypatch.setattr(objects, "STREAM_BYTES", 2**17)
    asked = []
    read_range = objects.read_range

    def counted(uri, start, length, *args, **kwargs):
        asked.append((uri, start, start + length))
        return read_range(uri, start, length, *args, **kwargs)

    monkeypatch.setattr(objects, "read_range", counted)
    rows = tile_cutouts(stored, sources, MER_10)
    for band, uri in local.mosaics.items():
        size = (tmp_path / uri).stat().st_size
        ranges = sorted(pair[1:] for pair in asked if pair[0] == stored.mosaics[band])
        assert ranges == [(at, min(at + 2**17, size)) for at in range(0, size, 2**17)]
    for row, other in zip(rows, tile_cutouts(local, sources, MER_10), strict=True):
        assert_same(row, other)


def test_a_source_without_a_position_is_rejected_alone(tmp_path):
    tile, sources = make_tile(tmp_path), catalogue([(160.2, 200.3), (160.2, 200.3), (140.0, 180.0)])
    sources.ra[1] = sources.dec[1] = np.nan
    first, without, last = tile_cutouts(tile, sources, MER_10)
    says = "the catalogue gives no position in RA -360 to 360 and Dec -90 to 90 deg"
    assert without == Rejection(RejectCode.OUTSIDE_TILE, says)
    for row, other in zip((first, last), expected(tile, sources.rows(np.array([0, 2])), MER_10), strict=True):
        assert_same(row, other)


def test_tiles_without_sources_inside_give_no_cutouts(tmp_path):
    tile = make_tile(tmp_path)
    assert list(tile_batches(tile, catalogue([]), MER, 8)) == []
    (batch,) = tile_batches(tile, catalogue(OUTSIDE), CHALLENGE, 8)
    assert (len(batch.rows), batch.n_rows) == (0, 4)
    assert {rejection.code for _, rejection in batch.rejected} == {RejectCode.OUTSIDE_TILE}
    assert batch.stamps["H"].shape == (0, 66, 66)
    assert batch.rejected[0][1].detail == "VIS: VIS.fits[PRIMARY]: the source lies at x=-0.6, y=100.0 of 330x470 px"
    with pytest.raises(ValueError, match="batch_size must be >= 1, got 0"):
        next(tile_batches(tile, catalogue([]), MER, 0))


def open_below(folder):
    """Return the names of the files in the folder that this process holds open."""
    names = (path.resolve() for path in Path("/proc/self/fd").iterdir())
    return sorted({name.name for name in names if folder in name.parents})


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs a list of open files")
@pytest.mark.parametrize("kind", ["plain", "gz", "rice"])
def test_files_are_closed_if_a_tile_is_abandoned(tmp_path, kind):
    tile = make_tile(tmp_path, kind)
    batches = tile_batches(tile, catalogue(positions()), MER_10, 4)
    # The first batch holds only sources outside the tile, for which no pixel is unpacked.
    next(batches)
    next(batches)
    assert open_below(tmp_path) == sorted(Path(uri).name for uri in tile.mosaics.values())
    batches.close()
    # Read-ahead threads need a moment to close their files.
    deadline = time.monotonic() + 20
    while open_below(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert open_below(tmp_path) == []
