"""The shard format: round trips, and rejection of files that are not shards."""

import errno
import io
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.store.storage import StorageError
from scanner.files.parquet_pages import pages, read_footer
from scanner.sources.shards import TRUTH_FIELDS, decode_shard, encode_shard, open_shard, shard_of, shard_schema, shard_table
from scanner.vocabulary.geometry import CHALLENGE, MER
from scanner.vocabulary.kinds import COMPONENTS
from tests.scanner.sources.listed_shards import LISTED, with_lists


def stamps(n, geometry, seed=0):
    rng = np.random.default_rng(seed)
    return {
        band: rng.normal(size=(n, grid.n_pixels, grid.n_pixels)).astype(np.float32) for band, grid in geometry.grids.items()
    }


def table(n=3, geometry=CHALLENGE):
    truth = {"kind": ["single", "nonlens", "double_ring"][:n], "index": list(range(n)), "z_source2": [None, None, 2.5][:n]}
    return shard_table(np.array([-(2**62) - 1, 0, 2**53 + 1])[:n], stamps(n, geometry), truth, geometry)


@pytest.mark.parametrize("geometry", [CHALLENGE, MER])
def test_a_shard_round_trips(geometry):
    shard = decode_shard(encode_shard(table(geometry=geometry)))
    assert shard.geometry is geometry
    assert shard.object_ids.tolist() == [-(2**62) - 1, 0, 2**53 + 1]
    for band, expected in stamps(3, geometry).items():
        np.testing.assert_array_equal(shard.stamps[band], expected)
    assert shard.truth["kind"].to_pylist() == ["single", "nonlens", "double_ring"]
    assert shard.truth["z_source2"].to_pylist() == [None, None, 2.5]
    assert shard.truth["arc_snr"].null_count == 3
    assert shard.truth.column_names == [field.name for field in TRUTH_FIELDS]


def test_an_empty_shard_round_trips():
    shard = decode_shard(encode_shard(table(0)))
    assert len(shard.object_ids) == 0
    assert shard.stamps["VIS"].shape == (0, 200, 200)


def test_other_parquet_readers_find_the_pixels_in_row_order():
    plain = pq.read_table(pa.BufferReader(encode_shard(table())))
    assert plain.schema.field("Y").metadata == {b"unit": b"adu/s", b"dtype": b"<f4"}
    assert np.frombuffer(plain["Y"][1].as_py(), "<f4")[66 * 2 + 5] == stamps(3, CHALLENGE)["Y"][1, 2, 5]
    assert plain.schema.field("einstein_radius1_arcsec").metadata[b"unit"] == b"arcsec"


def test_lists_of_pixels_are_read_too():
    data, expected = written(with_lists(table())), stamps(3, CHALLENGE)
    assert pq.read_schema(pa.BufferReader(data)).field("VIS").type == pa.list_(LISTED, 200**2)
    pieces = list(open_shard(lambda: pa.BufferReader(data)).pieces(2))
    for band in CHALLENGE.grids:
        np.testing.assert_array_equal(decode_shard(data).stamps[band], expected[band])
        np.testing.assert_array_equal(np.concatenate([piece.stamps[band] for piece in pieces]), expected[band])
    assert decode_shard(data).truth["kind"].to_pylist() == ["single", "nonlens", "double_ring"]


def test_images_stay_in_place_in_a_slice_of_a_table():
    shard = shard_of(table().slice(1, 2))
    np.testing.assert_array_equal(shard.stamps["H"], stamps(3, CHALLENGE)["H"][1:])


def test_pages_hold_a_few_images():
    """A reader has a page of each column in memory."""
    data = encode_shard(table(n=3, geometry=MER).take([0, 1, 2] * 20))
    vis = next(chunk for chunk in read_footer(data[-_footer_bytes(data) - 8 : -8]).chunks if chunk.path == ("VIS",))
    found = [page.n_values for page in pages(io.BytesIO(data), vis)]
    assert sum(found) == 60
    assert max(found) <= 2**20 / (4 * 200**2) + 4


def _footer_bytes(data):
    return int.from_bytes(data[-8:-4], "little")


def test_components_without_light_take_no_space():
    """Most objects have no second source."""
    images = stamps(6, CHALLENGE)
    dark = {name: {band: np.zeros_like(pixels) for band, pixels in images.items()} for name in COMPONENTS}
    data, plain = (encode_shard(shard_table(np.arange(6), images, {}, CHALLENGE, given)) for given in (dark, None))
    assert len(data) < 1.03 * len(plain)
    shard = decode_shard(data)
    assert all(not shard.components[name][band].any() for name in COMPONENTS for band in images)
    np.testing.assert_array_equal(shard.stamps["H"], images["H"])


def test_stamps_of_another_shape_are_refused():
    wrong = stamps(2, CHALLENGE) | {"J": np.zeros((2, 66, 65), np.float32)}
    with pytest.raises(ValueError, match=r"J: stamps must have the shape \(2, 66, 66\), got \(2, 66, 65\)"):
        shard_table(np.arange(2), wrong, {}, CHALLENGE)


def written(other):
    sink = io.BytesIO()
    pq.write_table(other, sink)
    return sink.getvalue()


@pytest.mark.fault(31)
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a readable Parquet file"),
        (b"<html>", "not a readable Parquet file"),
        (written(pa.table({"object_id": [1]})), "geometry must be one of"),
        (written(table().drop_columns(["H"])), "columns are not those of a challenge shard"),
        (written(table().replace_schema_metadata({b"lensscan.geometry": b"nosuch"})), "got 'nosuch'"),
        (written(table().replace_schema_metadata({b"lensscan.geometry": b"mer"})), "columns are not those of a mer shard"),
    ],
)
def test_a_file_that_is_not_a_shard_is_refused(data, message):
    with pytest.raises(ValueError, match=message):
        decode_shard(data)


@pytest.mark.fault(31)
def test_truncation_and_flipped_bits_are_noticed():
    data = encode_shard(table())
    with pytest.raises(ValueError, match="not a readable"):
        decode_shard(data[: len(data) // 2])
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 4
    with pytest.raises(ValueError, match="not a readable"):
        decode_shard(bytes(flipped))


@pytest.mark.fault(31)
@pytest.mark.parametrize("layout", [table, lambda: with_lists(table())], ids=["bytes", "lists"])
@pytest.mark.parametrize("forged", [False, True])
def test_nulls_in_a_pixel_column_are_refused(forged, layout):
    """Parquet's schema decides whether there may be nulls, whatever Arrow schema the file claims."""
    good, sink = layout(), io.BytesIO()
    field = good.schema.field("Y").with_nullable(nullable=True)
    holed = good.set_column(good.schema.get_field_index("Y"), field, pa.array([None, *good["Y"].to_pylist()[1:]], field.type))
    claimed = written(good) if forged else written(holed)
    with pq.ParquetWriter(sink, holed.schema, store_schema=False) as writer:
        writer.write_table(holed)
        writer.add_key_value_metadata(pq.read_metadata(pa.BufferReader(claimed)).metadata)
    with pytest.raises(ValueError, match="columns are not those of a challenge shard"):
        decode_shard(sink.getvalue())


@pytest.mark.fault(31)
@pytest.mark.parametrize("pixel", [pa.field("element", pa.float32()), pa.field("element", pa.int32(), nullable=False)])
def test_lists_of_other_pixels_are_refused(pixel):
    with pytest.raises(ValueError, match="columns are not those of a challenge shard"):
        decode_shard(written(with_lists(table(), pixel)))


def test_the_schema_names_the_geometry():
    assert shard_schema(MER).metadata[b"lensscan.geometry"] == b"mer"


class FailingDisk(io.BytesIO):
    def read(self, *_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_a_failing_disk_does_not_make_a_shard_damaged():
    with pytest.raises(StorageError, match="Input/output error"):
        open_shard(lambda: pa.PythonFile(FailingDisk(encode_shard(table())), mode="r"))
