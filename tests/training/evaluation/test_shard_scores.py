"""Scores and digests of shards."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scanner.networks.package import load_package
from scanner.sources.shards import DATA_SET_KEY, TRUTH_FIELDS
from simulation.products.dataset import DatasetSpec, simulate_shard
from tests.scanner.ensembles import SPECS, write_test_package
from tests.training.shards import write_shards
from training.errors import TrainingError
from training.evaluation.shard_scores import score_shards, shard_footers, shards_digest


def test_the_digest_of_shards_is_that_of_their_data_set(shards_uri, dataset):
    assert shards_digest(shard_footers(shards_uri)) == dataset.digest


def test_every_object_is_scored_beside_its_truth(tmp_path):
    specs = [DatasetSpec(n=2, seed=7, kinds=(("single", 1.0),)), DatasetSpec(n=3, seed=8, kinds=(("nonlens", 1.0),))]
    for number, spec in enumerate(specs):
        pq.write_table(simulate_shard(spec, 0), tmp_path / f"{number}.parquet")
    write_test_package(tmp_path / "pack", SPECS[:1])
    ensemble, steps = load_package(tmp_path / "pack"), []
    scores, truth = score_shards(shard_footers(str(tmp_path)), ensemble, lambda *step: steps.append(step))
    assert truth.column_names == [field.name for field in TRUTH_FIELDS]
    assert truth["kind"].to_pylist() == ["single"] * 2 + ["nonlens"] * 3
    assert steps == [(2, 5), (5, 5)]
    alone, _ = score_shards({str(tmp_path / "1.parquet"): pq.read_metadata(tmp_path / "1.parquet")}, ensemble, max)
    np.testing.assert_allclose(scores["p_lens"].to_numpy()[2:], alone["p_lens"].to_numpy(), rtol=1e-4)


def test_a_folder_without_shards_or_with_another_file_is_refused(tmp_path):
    with pytest.raises(TrainingError, match=r"holds no shards \(\*\.parquet\)"):
        shard_footers(str(tmp_path))
    (tmp_path / "a.parquet").write_text("no")
    with pytest.raises(TrainingError, match=r"a\.parquet: not a readable Parquet shard"):
        shard_footers(str(tmp_path))
    pq.write_table(pa.table({"x": [1]}), tmp_path / "a.parquet")
    write_test_package(tmp_path / "pack", SPECS[:1])
    with pytest.raises(TrainingError, match=r"a\.parquet: "):
        score_shards(shard_footers(str(tmp_path)), load_package(tmp_path / "pack"), max)


def test_shards_without_objects_are_refused(tmp_path):
    write_shards(tmp_path, 4, n_shards=1)
    shard = pq.read_table(tmp_path / "shard-00000.parquet")
    pq.write_table(shard.slice(0, 0), tmp_path / "empty.parquet")
    assert len(shard_footers(str(tmp_path))) == 2
    pq.write_table(shard.slice(0, 0), tmp_path / "shard-00000.parquet")
    with pytest.raises(
        TrainingError, match=r"its shards must hold objects, got none in .*empty\.parquet, .*shard-00000\.parquet"
    ):
        shard_footers(str(tmp_path))


DAMAGED = {
    "cut off": b'{"seed": 7',
    "no text": b"\xff\xfe",
    "a list": b"[7]",
    "null": b"null",
    "nothing": b"",
    "deep": b"[" * 100_000,
    "UTF-16": '{"seed": 7}'.encode("utf-16"),
}


@pytest.mark.parametrize("stated", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_description_names_the_shard(tmp_path, stated):
    write_shards(tmp_path, 4, n_shards=1)
    path = tmp_path / "shard-00000.parquet"
    shard = pq.read_table(path)
    pq.write_table(shard.replace_schema_metadata({**shard.schema.metadata, DATA_SET_KEY: stated}), path)
    with pytest.raises(
        TrainingError, match=r"shard-00000\.parquet: its metadata lensscan\.dataset must be a JSON object, got b"
    ):
        shard_footers(str(tmp_path))
