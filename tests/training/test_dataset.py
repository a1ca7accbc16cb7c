from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from scanner.pixels.geometry import CHALLENGE, MER
from scanner.pixels.inputs import network_input
from scanner.pixels.shards import KINDS, decode_shard, encode_shard, shard_table
from tests.training.shards import write_shards
from training.dataset import hashed_fraction, prepare_dataset
from training.errors import TrainingError


def test_arrays_are_the_networks_inputs(dataset, shards_uri):
    start = 0
    for path in sorted(Path(shards_uri).iterdir()):
        shard = decode_shard(path.read_bytes())
        n = len(shard.object_ids)
        for n_pixels, array in dataset.inputs.items():
            expected = network_input(shard.stamps, ("J", "Y", "H", "VIS"), n_pixels)
            assert np.abs(array[start : start + n].astype(np.float32) - expected).max() < 2.5e-4
        assert [KINDS[k] for k in dataset.kinds[start : start + n]] == shard.truth["kind"].to_pylist()
        assert np.array_equal(dataset.object_ids[start : start + n], shard.object_ids)
        start += n
    assert start == len(dataset.kinds) == 120
    assert np.array_equal(dataset.labels == 0, dataset.kinds == KINDS.index("nonlens"))


def test_splits_share_no_object_and_leave_none_out(dataset):
    rows = [dataset.rows(split, 0.1, 0.2) for split in ("train", "validation", "test")]
    assert sorted(np.concatenate(rows)) == list(range(120))


def test_the_split_follows_the_object_not_the_row(tmp_path):
    a = prepare_dataset(write_shards(tmp_path / "a", 40, n_shards=2), tmp_path / "a-data")
    b = prepare_dataset(write_shards(tmp_path / "b", 60, n_shards=5, first_id=980), tmp_path / "b-data")
    in_a, in_b = ({*d.object_ids[d.rows("test", 0.2, 0.3)]} for d in (a, b))
    shared = {*a.object_ids} & {*b.object_ids}
    assert in_a & shared == in_b & shared
    assert len(in_a & shared) > 3


def test_hashed_fractions_are_uniform():
    fractions = np.sort(hashed_fraction(np.arange(100000)))
    # Kolmogorov-Smirnov: 1.63 / sqrt(n) is exceeded once in a hundred.
    assert np.abs(fractions - np.arange(100000) / 100000).max() < 1.63 / np.sqrt(100000)


def test_the_digest_follows_content_and_not_place(shards_uri, dataset, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in Path(shards_uri).iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    assert prepare_dataset(str(copy), tmp_path / "data").digest == dataset.digest
    (copy / "shard-00001.parquet").unlink()
    shorter = prepare_dataset(str(copy), tmp_path / "data")
    assert shorter.digest != dataset.digest
    assert len(shorter.kinds) == 60


def test_prepared_arrays_are_kept(tmp_path):
    uri = write_shards(tmp_path / "shards", 8)
    prepare_dataset(uri, tmp_path / "data")
    before = (tmp_path / "data" / "inputs_200.npy").stat().st_mtime_ns
    assert len(prepare_dataset(uri, tmp_path / "data").kinds) == 8
    assert (tmp_path / "data" / "inputs_200.npy").stat().st_mtime_ns == before


def one_shard(geometry, kind):
    stamps = {b: np.random.default_rng(0).normal(size=(2, g.n_pixels, g.n_pixels)) for b, g in geometry.grids.items()}
    return encode_shard(shard_table(np.arange(2), stamps, {"kind": [kind, "single"]}, geometry))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (one_shard(MER, "single"), "challenge geometry, got mer"),
        (one_shard(CHALLENGE, None), "kind must be one of .*None"),
        (one_shard(CHALLENGE, "quasar"), "kind must be one of .*quasar"),
        (one_shard(CHALLENGE, "single")[:-100], r"a\.parquet"),
        (b"PAR1", r"a\.parquet"),
    ],
    ids=["geometry", "no truth", "unknown kind", "truncated", "rubbish"],
)
def test_shards_that_cannot_be_learnt_from_are_named(tmp_path, data, says):
    (tmp_path / "a.parquet").write_bytes(data)
    with pytest.raises(TrainingError, match=says) as error:
        prepare_dataset(str(tmp_path), tmp_path / "data")
    assert "a.parquet" in str(error.value)


def test_no_shards_and_an_object_twice(tmp_path):
    with pytest.raises(TrainingError, match="holds no shards"):
        prepare_dataset(str(tmp_path / "none"), tmp_path / "data")
    uri = write_shards(tmp_path / "shards", 8, n_shards=1)
    write_shards(tmp_path / "shards" / "more", 4, n_shards=1)
    with pytest.raises(TrainingError, match="4 of 12 repeat"):
        prepare_dataset(uri, tmp_path / "data")
    assert pq.read_metadata(tmp_path / "shards" / "shard-00000.parquet").num_rows == 8
