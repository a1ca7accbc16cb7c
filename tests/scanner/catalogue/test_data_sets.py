"""Shards of different data sets that share ids are no overlap: each data set numbers its own objects."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.catalogue import unit_inputs
from scanner.catalogue.data_sets import check_data_sets
from scanner.catalogue.find_units import find_units
from scanner.catalogue.plan import ScanConfig, build_plan
from scanner.catalogue.units import PlanError
from scanner.sources.shards import NumberedObjects, encode_shard
from simulation.products.dataset import DatasetSpec, simulate_shard
from tests.scanner.catalogue_parts import NIGHT, EnsembleName, write_shard

SHARDS = st.lists(st.tuples(st.sets(st.integers(-3, 12), max_size=5), st.sampled_from([None, b"", b"a", b"b"])), max_size=6)


def planned(folder):
    return [(unit.unit_id, unit.n_rows, unit.owned_elsewhere) for unit in find_units(str(folder))]


def test_two_simulated_data_sets_are_no_one_plan(tmp_path):
    for name in ("euclid", "broad"):
        spec = DatasetSpec(n=2, seed=1, preset=name, kinds=(("star", 1.0),))
        (tmp_path / name).mkdir()
        (tmp_path / name / "shard-00000.parquet").write_bytes(encode_shard(simulate_shard(spec, 0)))
    says = (
        rf"^{tmp_path}/broad/shard-00000\.parquet and {tmp_path}/euclid/shard-00000\.parquet are shards of different data sets,"
        r" and their objects share ids, such as 0 \(2 ids in all\); scan one data set at a time, each in a folder of its own"
    )
    with pytest.raises(PlanError, match=says):
        build_plan(str(tmp_path), NIGHT, EnsembleName(), ScanConfig())
    assert build_plan(str(tmp_path / "broad"), NIGHT, EnsembleName(), ScanConfig()).n_rows == 2


def test_one_data_set_in_two_folders_overlaps(tmp_path):
    write_shard(tmp_path / "a" / "x.parquet", [1, 2, 3], b"seed 1")
    write_shard(tmp_path / "b" / "x.parquet", [3, 4], b"seed 1")
    assert planned(tmp_path) == [("a-x", 3, ()), ("b-x", 1, (3,))]


@pytest.mark.parametrize("stated", [None, b"seed 1"])
def test_shards_that_state_no_data_set_overlap(tmp_path, stated):
    write_shard(tmp_path / "a.parquet", [1, 2, 3], stated)
    write_shard(tmp_path / "b.parquet", [3, 4])
    write_shard(tmp_path / "c.parquet", [9], b"seed 2")
    assert planned(tmp_path) == [("a", 3, ()), ("b", 1, (3,)), ("c", 1, ())]


def test_data_sets_without_common_ids_are_one_plan(tmp_path):
    write_shard(tmp_path / "a.parquet", [1, 2], b"seed 1")
    write_shard(tmp_path / "b.parquet", [3, 4], b"seed 2")
    assert planned(tmp_path) == [("a", 2, ()), ("b", 2, ())]


@given(SHARDS)
def test_ids_are_compared_between_all_data_sets(shards):
    """By brute force over pairs of shards."""
    pairs = [(i, j) for i in range(len(shards)) for j in range(i)]
    clashing = [(i, j) for i, j in pairs if None not in (stated := {shards[i][1], shards[j][1]}) and len(stated) == 2]
    shared = {(j, i): shards[i][0] & shards[j][0] for i, j in clashing if shards[i][0] & shards[j][0]}
    given_shards = {
        f"{i}.parquet": NumberedObjects(np.array([*ids], np.int64), stated) for i, (ids, stated) in enumerate(shards)
    }
    if not shared:
        check_data_sets(given_shards)
        return
    with pytest.raises(PlanError) as raised:
        check_data_sets(given_shards)
    said = re.match(r"(\d)\.parquet and (\d)\.parquet are .* such as (-?\d+) \((\d+) ids", str(raised.value))
    one, other, example, n_shared = map(int, said.groups())
    assert example in shared[one, other]
    assert n_shared == len(set.union(*shared.values()))


def test_a_listing_reads_each_shard_once(tmp_path, monkeypatch):
    """The data set is in the footer that is read for the ids."""
    opened = []
    write_shard(tmp_path / "a.parquet", [1, 2], b"seed 1")
    write_shard(tmp_path / "b.parquet", [3, 4], b"seed 2")
    open_read = unit_inputs.open_read
    monkeypatch.setattr(unit_inputs, "open_read", lambda uri: opened.append(Path(uri).name) or open_read(uri))
    find_units(str(tmp_path))
    assert sorted(opened) == ["a.parquet", "b.parquet"]
