"""Scores and digests of shards."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scanner.networks.package import load_package
from scanner.sources.shards import TRUTH_FIELDS
from simulation.products.dataset import DatasetSpec, simulate_shard
from tests.scanner.ensembles import SPECS, write_test_package
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
