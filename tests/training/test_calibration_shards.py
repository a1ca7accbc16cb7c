"""Shards that cannot calibrate a cascade are refused before any network runs."""

import pytest

from tests.training.shards import write_shards
from training.calibration_shards import CalibrationShards
from training.errors import TrainingError


def test_natural_and_broad_objects_are_counted(tmp_path):
    natural, broad = write_shards(tmp_path / "natural", 80), write_shards(tmp_path / "broad", 60)
    shards = CalibrationShards.read(natural, broad)
    assert (shards.n_natural, shards.n_objects) == (80, 140)
    assert (shards.natural_uri, shards.broad_uri) == (natural, broad)


def test_shards_that_cannot_calibrate_are_refused(tmp_path):
    natural, broad = write_shards(tmp_path / "natural", 80), write_shards(tmp_path / "broad", 60)
    few = write_shards(tmp_path / "few", 80, kinds=("nonlens", "single", "single", "double_ring"))
    lenses = write_shards(tmp_path / "lenses", 8, kinds=("single",))
    unknown = write_shards(tmp_path / "unknown", 8, kinds=(None,))
    for data, says in (
        ((few, broad), r"few: needs at least 5 objects of each kind in each of two .*'compound_arc': 0.* in all"),
        ((natural, lenses), r"lenses: needs lenses and non-lenses, got .*'nonlens': 0"),
        ((natural, unknown), r"unknown/shard-00000\.parquet: kind must be one of .*None"),
        ((natural, str(tmp_path / "nowhere")), "nowhere"),
    ):
        with pytest.raises(TrainingError, match=says):
            CalibrationShards.read(*data)
