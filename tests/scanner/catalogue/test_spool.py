"""Rows come back from a spool in any order as they went in, with maps of either kind of list."""

import os

import numpy as np
import pyarrow as pa
import pytest

from scanner.catalogue.columns import candidate_schema, published_schema, unit_schema
from scanner.catalogue.map_columns import MAP_COLUMNS
from scanner.catalogue.maps import with_maps_as
from scanner.catalogue.spool import RECORD_BYTES, Spool
from tests.scanner.catalogue_parts import NETWORKS, scores, with_maps

SCHEMA = unit_schema(NETWORKS, maps=True)


def tables():
    """Return three tables of 5, 0 and 4 rows, of which some have maps."""
    ids = ([1, 2, 3, 4, 5], [], [6, 7, 8, 9])
    return [with_maps(scores(i, [0.5] * len(i)), places) for i, places in zip(ids, ({0, 3}, {}, {1, 2, 3}), strict=True)]


@pytest.mark.parametrize("size", ["fixed", "large", None])
def test_rows_come_back_in_the_order_asked_for(size, tmp_path):
    whole = pa.concat_tables(tables())
    order = np.array([8, 0, 3, 3, 7, 1])
    with Spool(str(tmp_path)) as spool:
        for table in tables():
            spool.add(table if size is None else with_maps_as(size, table))
        assert spool.light().equals(whole.drop_columns([column.name for column in MAP_COLUMNS]))
        found = list(spool.groups(order, 4, SCHEMA))
        assert list(tmp_path.iterdir()) == [], "the file has no name"
    assert [group.num_rows for group in found] == [4, 2]
    assert pa.concat_tables(found).equals(whole.take(pa.array(order)))


def test_maps_have_the_type_of_the_schema():
    fixed = pa.schema([field for field in candidate_schema(NETWORKS, maps=True) if field.name in SCHEMA.names])
    with Spool() as spool:
        for table in tables():
            spool.add(table)
        (group,) = spool.groups(np.arange(9)[::-1], 100, fixed)
    assert group.schema.equals(fixed)
    expected = with_maps_as("fixed", pa.concat_tables(tables())).take(pa.array(np.arange(9)[::-1]))
    assert group.to_pylist() == expected.to_pylist()


def test_rows_without_columns_of_maps_need_no_file():
    with Spool() as spool:
        spool.add(scores([1, 2], [0.5, 0.6]))
        (group,) = spool.groups(np.array([1]), 10, unit_schema(NETWORKS))
        assert os.fstat(spool._file).st_size == 0
    assert group["object_id"].to_pylist() == [2]


def test_many_small_tables_are_joined():
    """Arrow takes twenty kilobytes or more for a table of one row, and a survey has a hundred thousand of them."""
    n = 1000
    whole = with_maps(scores(range(n), [0.5] * n), set(range(0, n, 7)))
    with Spool() as spool:
        for i in range(n):
            spool.add(whole.slice(i, 1))
        assert len(spool._parts) + len(spool._newest) < n / 3
        assert spool.n_rows == n
        assert spool.light().equals(whole.drop_columns([column.name for column in MAP_COLUMNS]))
        order = np.random.default_rng(1).permutation(n)
        assert pa.concat_tables(spool.groups(order, 256, SCHEMA)).equals(whole.take(pa.array(order)))


def test_no_rows_make_one_empty_group():
    with Spool() as spool:
        spool.add(tables()[1])
        assert [group.num_rows for group in spool.groups(np.zeros(0, int), 10, SCHEMA)] == [0]


def test_only_rows_with_maps_take_space():
    with Spool() as spool:
        for table in tables():
            spool.add(table)
        pixels = 80 * 80 * 3 + 2 * 4 * 80 * 80
        assert os.fstat(spool._file).st_size == 5 * RECORD_BYTES == 5 * (pixels + 40 * 40 + 20 * 20 + 2 * 8 * 8)


def test_published_rows_need_no_null_lists_of_fixed_size():
    assert {published_schema((), maps=True).field(column.name).type for column in MAP_COLUMNS} == {
        pa.list_(pa.uint8()),
        pa.list_(pa.int16()),
    }


def test_a_spool_that_is_dropped_closes_its_file():
    spool = Spool()
    descriptor = spool._file
    del spool
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
