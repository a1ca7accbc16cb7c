"""Check that inputs become units, and that each id has one owner."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.store.storage import list_files
from scanner.catalogue.find_units import _first_among, find_units
from scanner.catalogue.units import PlanError, id_digest
from tests.scanner.catalogue_parts import write_shard
from tests.tiles import write_tiles

IDS = st.integers(-(2**63), 2**63 - 1)


def test_shards_become_units_with_their_rows(tmp_path):
    write_shard(tmp_path / "a.parquet", [1, 2, 3])
    write_shard(tmp_path / "deep" / "b.parquet", [4])
    units = find_units(str(tmp_path))
    assert [(u.unit_id, u.kind, u.n_rows, u.id_digest) for u in units] == [
        ("a", "shard", 3, id_digest([1, 2, 3])),
        ("deep-b", "shard", 1, id_digest([4])),
    ]
    assert units[0].files["shard"].uri == str(tmp_path / "a.parquet")


def test_tiles_become_units_with_their_files(tmp_path):
    write_tiles(tmp_path, 2, 3)
    units = find_units(str(tmp_path))
    assert [u.kind for u in units] == ["tile", "tile"]
    assert set(units[0].files) == {"VIS", "Y", "J", "H", "catalogue"}
    sizes = {file.uri: file.size for unit in units for file in unit.files.values()}
    assert sizes == {file.uri: Path(file.uri).stat().st_size for file in list_files(str(tmp_path), ".fits")}


def test_an_object_in_two_files_belongs_to_the_first(tmp_path):
    write_shard(tmp_path / "b.parquet", [3, 4, 2])
    write_shard(tmp_path / "a.parquet", [1, 2, 3])
    write_shard(tmp_path / "c.parquet", [4])
    units = find_units(str(tmp_path))
    assert [u.owned_elsewhere for u in units] == [(), (2, 3), (4,)]
    assert [(u.n_rows, u.id_digest) for u in units] == [(3, id_digest([1, 2, 3])), (1, id_digest([4])), (0, id_digest([]))]


@given(st.lists(st.lists(st.integers(0, 30), unique=True, max_size=12), min_size=1, max_size=8))
def test_each_id_is_owned_by_the_first_unit(ids):
    seen: set[int] = set()
    expected = []
    for some in ids:
        expected.append([value not in seen for value in some])
        seen |= set(some)
    assert [mask.tolist() for mask in _first_among([np.array(some, np.int64) for some in ids])] == expected


def test_an_object_twice_in_one_file_is_refused(tmp_path):
    write_shard(tmp_path / "a.parquet", [1, 7, 7])
    with pytest.raises(PlanError, match=r"unit a: 1 repeated object id\(s\), such as 7"):
        find_units(str(tmp_path))


@pytest.mark.fault(31)
def test_nothing_to_scan_and_no_shard_are_refused(tmp_path):
    with pytest.raises(PlanError, match="holds neither"):
        find_units(str(tmp_path / "absent"))
    (tmp_path / "x.parquet").write_bytes(b"not Parquet")
    with pytest.raises(PlanError, match=r"x\.parquet: not a readable shard"):
        find_units(str(tmp_path))
