import numpy as np
import pyarrow as pa
import pytest

from scanner.sources.cutouts import to_cutout
from scanner.sources.shard_batches import shard_batches, stream_batches
from scanner.sources.shards import decode_shard, encode_shard, open_shard, shard_table
from scanner.vocabulary.band_image import BandImage
from scanner.vocabulary.geometry import CHALLENGE, GEOMETRIES, MER, MER_10
from scanner.vocabulary.rejections import RejectCode


def make_shard(geometry, n=12):
    """Return a shard with one blank row, one with missing pixels, and one partly masked."""
    rng = np.random.default_rng(0)
    stamps = {
        band: rng.normal(1, 0.1, (n, grid.n_pixels, grid.n_pixels)).astype(np.float32) for band, grid in geometry.grids.items()
    }
    stamps["J"][3] = 0
    stamps["VIS"][5, 50, 50:52] = np.nan
    stamps["H"][7, :20] = 0
    table = shard_table(np.arange(n), stamps, {"index": list(range(n))}, geometry)
    return decode_shard(encode_shard(table))


@pytest.mark.parametrize("source", [CHALLENGE, MER, MER_10], ids=lambda g: g.name)
@pytest.mark.parametrize("target", GEOMETRIES.values(), ids=GEOMETRIES)
def test_every_kept_row_equals_its_cutout(source, target):
    shard = make_shard(source)
    kept = np.array([11, 0, 3, 5, 7, 8, 2])
    batches = list(shard_batches(shard, kept, target, 3))
    assert [batch.n_rows for batch in batches] == [3, 3, 1]
    seen = []
    for batch in batches:
        for place, rejection in batch.rejected:
            seen.append(place)
            assert (kept[place], rejection.code) == (3, RejectCode.BLANK)
        for i, place in enumerate(batch.rows):
            seen.append(place)
            images = {
                band: BandImage(stamps[kept[place]], source.grids[band].pixel_scale_arcsec)
                for band, stamps in shard.stamps.items()
            }
            cutout = to_cutout(images, target)
            assert batch.notes[i] == cutout.notes
            for band, stamp in cutout.stamps.items():
                assert batch.stamps[band][i].tobytes() == stamp.tobytes()
    assert sorted(seen) == list(range(len(kept)))


@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
def test_pixels_in_the_shards_own_geometry_stay_unchanged(geometry, monkeypatch):
    """Only rows that are not clean go through `to_cutout`."""
    looked = []

    def watched(images, geometry):
        looked.append(images)
        return to_cutout(images, geometry)

    monkeypatch.setattr("scanner.sources.stamps.to_cutout", watched)
    shard = make_shard(geometry)
    (batch,) = shard_batches(shard, np.arange(12), geometry, 100)
    assert batch.rows.tolist() == [0, 1, 2, *range(4, 12)]
    assert [place for place, _ in batch.rejected] == [3]
    assert len(looked) == 2
    for band, stamps in batch.stamps.items():
        untouched = batch.rows != 5
        np.testing.assert_array_equal(stamps[untouched], shard.stamps[band][batch.rows[untouched]])


def test_no_rows_give_no_batches_and_batch_size_is_positive():
    shard = make_shard(MER_10)
    assert list(shard_batches(shard, np.array([], np.int64), MER, 4)) == []
    with pytest.raises(ValueError, match="batch_size must be >= 1, got 0"):
        next(shard_batches(shard, np.arange(2), MER, 0))


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_a_streamed_shard_equals_one_in_memory(batch_size):
    rng = np.random.default_rng(5)
    stamps = {
        band: rng.normal(size=(11, grid.n_pixels, grid.n_pixels)).astype(np.float32) for band, grid in MER_10.grids.items()
    }
    stamps["J"][3] = 0
    data = encode_shard(shard_table(np.arange(11) * 7, stamps, {"index": [None, *range(10)]}, MER_10))
    streamed = open_shard(lambda: pa.BufferReader(data))
    whole = decode_shard(data)
    assert streamed.object_ids.tolist() == whole.object_ids.tolist()
    assert streamed.indices == [None, *range(10)]
    kept = np.array([0, 2, 3, 7, 8, 10])
    expected = next(shard_batches(whole, kept, MER_10, len(kept)))
    batches = list(stream_batches(streamed, kept, MER_10, batch_size))
    assert np.concatenate([batch.rows for batch in batches]).tolist() == expected.rows.tolist()
    assert [(place, r.code) for batch in batches for place, r in batch.rejected] == [(2, RejectCode.BLANK)]
    for band in MER_10.grids:
        assert np.array_equal(np.concatenate([batch.stamps[band] for batch in batches]), expected.stamps[band])


@pytest.mark.fault(31)
def test_damage_in_a_streamed_shard_is_detected():
    stamps = {band: np.random.default_rng(0).normal(size=(40, g.n_pixels, g.n_pixels)) for band, g in MER_10.grids.items()}
    data = bytearray(encode_shard(shard_table(np.arange(40), stamps, {}, MER_10)))
    data[len(data) // 2] ^= 1
    shard = open_shard(lambda: pa.BufferReader(bytes(data)))
    with pytest.raises(ValueError, match="not a readable Parquet file"):
        list(stream_batches(shard, np.arange(40), MER_10, 8))
