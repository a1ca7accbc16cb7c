"""A leaf holds the rows of its partition, sorted; their digest depends on nothing else."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scanner.catalogue.columns import CODE_COLUMNS, HEALPIX, KNOWN_COLUMNS, RANK_COLUMNS
from scanner.catalogue.spool import Spool
from scanner.hats import leaves
from scanner.hats.leaves import conformed, leaf_schema, merged_leaf, night_leaves
from tests.scanner.catalogue_parts import NETWORKS, scores, with_maps

NIGHT = "2026-11-24"


def rows(ids, pixels, schema, *, night=NIGHT, maps=()):
    """Return published rows of objects in partitions, all in the middle of their partition."""
    table = scores(ids, [0.5] * len(ids), night=[night] * len(ids))
    table = with_maps(table, set(maps)) if "map_cam" in schema.names else table
    healpix = pa.array([(pixel << 48) + object_id for pixel, object_id in zip(pixels, ids, strict=True)], pa.int64())
    return conformed(table.append_column(HEALPIX.field(), healpix), schema)


def written(table, schema, folder, label=NIGHT):
    with Spool() as spool:
        for start in range(0, table.num_rows, 3):
            spool.add(table.slice(start, 3))
        return night_leaves(spool, label, schema, folder)


@pytest.mark.parametrize("has_maps", [False, True])
def test_rows_go_to_their_partition_sorted(tmp_path, has_maps):
    schema = leaf_schema(NETWORKS, maps=has_maps)
    table = rows([5, 3, 4, 1, 2], [10_001, 7, 10_001, 7, 7], schema, maps={0, 3})
    found = written(table, schema, tmp_path)
    assert [(leaf.path, leaf.n_rows) for leaf in found] == [
        (f"dataset/Norder=5/Dir=0/Npix=7/{NIGHT}.parquet", 3),
        (f"dataset/Norder=5/Dir=10000/Npix=10001/{NIGHT}.parquet", 2),
    ]
    read = [pq.read_table(tmp_path / leaf.path, partitioning=None) for leaf in found]
    assert [part["object_id"].to_pylist() for part in read] == [[1, 2, 3], [4, 5]]
    assert pa.concat_tables(read).sort_by("object_id").to_pylist() == table.sort_by("object_id").to_pylist()
    assert [leaf.n_bytes for leaf in found] == [(tmp_path / leaf.path).stat().st_size for leaf in found]


def test_equal_rows_make_equal_files_in_any_order(tmp_path):
    schema = leaf_schema(NETWORKS, maps=True)
    table = rows(list(range(8)), [7] * 8, schema, maps={2, 5})
    (one,) = written(table, schema, tmp_path / "a")
    (other,) = written(table.take(pa.array([7, 0, 3, 2, 1, 6, 5, 4])), schema, tmp_path / "b")
    assert one == other
    assert (tmp_path / "a" / one.path).read_bytes() == (tmp_path / "b" / one.path).read_bytes()


@pytest.mark.parametrize("name", ["detail", "p_lens", "attribution_core", "map_occlusion", "object_id"])
def test_the_digest_changes_with_every_column(tmp_path, name):
    schema = leaf_schema(NETWORKS, maps=True)
    table = rows([1, 2], [7, 7], schema, maps={0})
    changed = table.to_pylist()
    changed[0][name] = {"detail": "x", "map_occlusion": [0] * 64, "object_id": 3}.get(name, 0.25)
    other = pa.Table.from_pylist(changed, schema=schema)
    (one,), (two,) = written(table, schema, tmp_path / "a"), written(other, schema, tmp_path / "b")
    assert one.parts[0].sha256 != two.parts[0].sha256


def test_a_merged_leaf_holds_the_nights_asked_for(tmp_path):
    light, full = leaf_schema(("OU-66",), maps=False), leaf_schema(NETWORKS, maps=True)
    tables = {"2026-11-24": rows([1, 2], [7, 7], full, maps={1}), "2026-11-25": None, "2026-11-26": None}
    for night, ids in (("2026-11-25", [2, 3]), ("2026-11-26", [1, 9])):
        tables[night] = rows(ids, [7, 7], light, night=night)
    files = []
    for night, table in tables.items():
        (leaf,) = written(table, full if night == NIGHT else light, tmp_path / night, night)
        files.append((leaf, pq.ParquetFile(tmp_path / night / leaf.path)))
    merged = merged_leaf(files, ["2026-11-24", "2026-11-26"], full, tmp_path)
    for _, file in files:
        file.close()
    assert (merged.name, merged.n_rows) == ("all", 4)
    assert merged.parts == (*files[0][0].parts, *files[2][0].parts), "digests are those of the nights' own leaves"
    found = pq.read_table(tmp_path / merged.path, partitioning=None)
    assert list(zip(found["object_id"].to_pylist(), found["night"].to_pylist(), strict=True)) == [
        (1, "2026-11-24"),
        (1, "2026-11-26"),
        (2, "2026-11-24"),
        (9, "2026-11-26"),
    ]
    assert found["p_OU_200"].is_valid().to_pylist() == [True, False, True, False]
    assert found["map_cam"].is_valid().to_pylist() == [False, False, True, False]


def test_row_groups_are_small_where_there_are_maps(tmp_path, monkeypatch):
    monkeypatch.setattr(leaves, "ROWS_PER_GROUP", 2)
    schema = leaf_schema(NETWORKS, maps=True)
    (leaf,) = written(rows([1, 2, 3, 4, 5], [7] * 5, schema), schema, tmp_path)
    assert pq.read_metadata(tmp_path / leaf.path).num_row_groups == 3


def test_the_columns_are_those_of_candidates_with_their_origin():
    names = leaf_schema(NETWORKS, maps=True).names
    assert (names[0], names[1]) == (HEALPIX.name, "object_id")
    assert names[-10:] == [column.name for column in (*CODE_COLUMNS, *KNOWN_COLUMNS, *RANK_COLUMNS)]
    assert np.unique(names).size == len(names)
