"""Parquet files of any writer are read; files that contradict themselves or exceed a limit are refused."""

import io

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from scanner.files import parquet_checked as module
from scanner.files.parquet_checked import BadParquetError, ParquetInput
from scanner.sources.manifests import read_manifest
from tests.faults.harness.parquet_bombs import (
    claiming_rows,
    column_chunk,
    manifest,
    page_header,
    refusal,
    with_page,
    written,
    zigzag,
)


@pytest.mark.fault(31)
def test_files_that_contradict_their_footer_are_refused(tmp_path):
    """A file with another number of rows than stated, or with pages elsewhere, is refused and not read in part."""
    good = written(manifest(7))
    for claimed in (8, 6):
        (tmp_path / "manifest").write_bytes(claiming_rows(good, 7, claimed))
        assert "not a readable Parquet file" in refusal(read_manifest, str(tmp_path / "manifest"))
    start, n_bytes = column_chunk(good, "object_id")
    longer = with_page(good, "object_id", 56, n_values=7)
    # This page ends a byte before its column does.
    size = longer.index(zigzag(n_bytes - len(page_header(56, n_bytes, n_values=7))), start)
    shorter = longer[:size] + bytes([longer[size] - 2]) + longer[size + 1 :]
    with pytest.raises(BadParquetError, match=r"values in pages up to byte|no page header|a page"):
        ParquetInput(io.BytesIO(shorter), 2**20, 10).read(["object_id"], 2**20)


@pytest.mark.fault(31)
def test_invalid_indices_and_texts_are_refused(tmp_path):
    """Arrow does not check them: an index beyond a dictionary would read memory outside the dictionary."""
    names = [f"name{i % 3}.fits" for i in range(64)]
    good = written(manifest(64, VIS=names), use_dictionary=["VIS"], compression="none")
    start, n_bytes = column_chunk(good, "VIS")
    changes = {
        "index": good[: start + n_bytes - 4] + b"\xff" + good[start + n_bytes - 3 :],
        "text": good.replace(b"name1.fits", b"name\xff.fits"),
        "name of a column": good.replace(b"VIS", b"V\xffS"),
    }
    for data in changes.values():
        assert data != good
        (tmp_path / "manifest").write_bytes(data)
        assert "manifest: not a readable Parquet file" in refusal(read_manifest, str(tmp_path / "manifest"))


WRITERS = {
    "pyarrow": {},
    "pages of version 2": {"data_page_version": "2.0"},
    "many pages and groups": {"data_page_size": 64, "write_batch_size": 10, "row_group_size": 40, "use_dictionary": True},
    "no compression": {"compression": "none"},
    "gzip": {"compression": "gzip", "write_page_checksum": True, "write_page_index": True},
    "snappy": {"compression": "snappy", "store_schema": False},
}


@pytest.mark.parametrize("writer", WRITERS)
def test_healthy_manifests_of_any_writer_are_read(tmp_path, writer):
    n = 100
    names = [None if i % 7 == 0 else f"{i}.fits" for i in range(n)]
    data = written(manifest(n, VIS=names, ra=np.linspace(0, 1, n)), **WRITERS[writer])
    (tmp_path / "manifest").write_bytes(data)
    read = read_manifest(str(tmp_path / "manifest"))
    assert read.object_ids.to_pylist() == list(range(n))
    assert read.references["VIS"] == [name and f"{tmp_path}/{name}" for name in names]


@pytest.mark.parametrize("version", ["V1", "V2"])
def test_healthy_manifests_of_duckdb_are_read(tmp_path, version):
    path = tmp_path / "manifest"
    query = "SELECT i AS object_id, 'x' || (i % 3) || '.fits' AS VIS, 0.1 AS pixel_scale_arcsec FROM range(5000) t(i)"
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, ROW_GROUP_SIZE 2048, PARQUET_VERSION {version})")
    read = read_manifest(str(path))
    assert read.object_ids.to_pylist() == list(range(5000))
    assert read.references["VIS"][:4] == [f"{tmp_path}/x{i}.fits" for i in (0, 1, 2, 0)]


def table(n=100):
    return pa.table({"a": np.arange(n), "b": [f"text {i}" for i in range(n)], "c": np.linspace(0, 1, n)})


def opened(data, max_bytes=2**20, max_rows=100):
    return ParquetInput(io.BytesIO(data), max_bytes, max_rows)


@pytest.mark.parametrize("n_rows", [1, 30, 100, 1000])
def test_batches_and_whole_columns_hold_the_rows_in_order(n_rows):
    data = written(table(), row_group_size=40)
    batches = list(opened(data).batches(["c", "a"], n_rows))
    assert max(map(len, batches)) <= n_rows
    assert pa.concat_tables(batches).select(["a", "c"]).equals(table().select(["a", "c"]))
    assert opened(data).read(["b"], 2**20).equals(table().select(["b"]))


@pytest.mark.fault(31)
def test_files_beyond_the_limits_are_refused(monkeypatch):
    data = written(table(), data_page_size=64, write_batch_size=10)
    size = len(data)
    opened(data, size, 100).read(["a", "b", "c"], 10**4)
    for limits, says in {
        (size - 1, 100): f"{size} bytes, at most {size - 1} are read",
        (size, 99): "must hold at most 99 rows, got 100",
    }.items():
        with pytest.raises(BadParquetError, match=says):
            opened(data, *limits)
    with pytest.raises(BadParquetError, match="a, b must unpack to at most 1600 bytes, got more"):
        opened(data).read(["a", "b"], 1600)
    for name, limit, says in (
        ("MAX_PAGES", 5, "more than 5 pages"),
        ("MAX_PAGE_BYTES", 70, "column a: a page must unpack to at most 70 bytes, got 8"),
        ("MAX_FOOTER_BYTES", 100, "its footer must have at most 100 bytes, got"),
    ):
        monkeypatch.setattr(module, name, limit)
        with pytest.raises(BadParquetError, match=says):
            list(opened(data).batches(["a"], 10))
        monkeypatch.undo()


@pytest.mark.fault(31)
def test_texts_stored_as_differences_are_refused():
    data = written(table(), column_encoding={"b": "DELTA_BYTE_ARRAY"})
    assert opened(data).read(["a"], 2**20).num_rows == 100
    with pytest.raises(BadParquetError, match="column b: the encoding DELTA_BYTE_ARRAY is not read"):
        opened(data).read(["b"], 2**20)
