"""Footers and pages as pyarrow states them; bytes that are neither are refused."""

import io
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scanner.files.parquet_pages import pages, read_footer
from scanner.files.parquet_thrift import ThriftError

N = 1000
TABLE = pa.table({"id": np.arange(N), "name": [f"{i % 7}" for i in range(N)], "xs": [[float(i)] * (i % 3) for i in range(N)]})
PLAIN, RLE_DICTIONARY = 0, 8


def file_of(**options):
    sink = io.BytesIO()
    pq.write_table(TABLE, sink, row_group_size=400, **options)
    return sink.getvalue()


def footer_of(data):
    return read_footer(data[-8 - int.from_bytes(data[-8:-4], "little") : -8])


@pytest.mark.parametrize("options", [{}, {"use_dictionary": False}, {"data_page_version": "2.0", "compression": "zstd"}])
def test_footers_equal_those_of_pyarrow(options):
    data = file_of(**options)
    footer, metadata = footer_of(data), pq.ParquetFile(io.BytesIO(data)).metadata
    groups = [metadata.row_group(i) for i in range(3)]
    assert (footer.n_rows, footer.group_rows) == (N, tuple(group.num_rows for group in groups))
    columns = [group.column(i) for group in groups for i in range(3)]
    for chunk, column in zip(footer.chunks, columns, strict=True):
        assert ".".join(chunk.path) == column.path_in_schema
        assert chunk.is_text == (column.physical_type == "BYTE_ARRAY")
        assert (chunk.n_values, chunk.n_bytes) == (column.num_values, column.total_compressed_size)
        assert chunk.start == (column.dictionary_page_offset or column.data_page_offset)


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_pages_fill_their_columns(version):
    data = file_of(data_page_version=version, use_dictionary=["name"], data_page_size=64, write_batch_size=50)
    for chunk in footer_of(data).chunks:
        first, *others = pages(io.BytesIO(data), chunk)
        assert len(others) > 2
        assert first.n_values + sum(page.n_values for page in others) == chunk.n_values
        assert first.stored_bytes + sum(page.stored_bytes for page in others) < chunk.n_bytes
        assert first.encoding == PLAIN
        assert (first.n_values == 0) == (chunk.path == ("name",))
        assert {page.encoding for page in others} == {RLE_DICTIONARY if chunk.path == ("name",) else PLAIN}


def test_the_unpacked_size_is_that_of_the_values():
    sink = io.BytesIO()
    schema = pa.schema([pa.field("x", pa.float64(), nullable=False)])
    pq.write_table(pa.table({"x": np.zeros(N)}, schema), sink, use_dictionary=False, compression="zstd")
    (page,) = pages(sink, footer_of(sink.getvalue()).chunks[0])
    assert (page.unpacked_bytes, page.n_values) == (8 * N, N)
    assert page.stored_bytes < 100


@pytest.mark.fault(31)
def test_pages_elsewhere_than_stated_are_refused():
    data = file_of()
    good = footer_of(data).chunks[0]
    for start, n_bytes, n_values, says in (
        (good.start, good.n_bytes - 1, good.n_values, "its pages hold 400 values up to byte"),
        (good.start, good.n_bytes, 399, "the footer states 399 up to byte"),
        (len(data) - 3, 10, 1, "no page header at byte"),
    ):
        with pytest.raises(ThriftError, match=says):
            list(pages(io.BytesIO(data), replace(good, start=start, n_bytes=n_bytes, n_values=n_values)))


@pytest.mark.fault(31)
@pytest.mark.parametrize("footer", [b"\0", b"\x15\x02\0", b"\x36\x01\0"])
def test_footers_without_rows_or_with_negative_ones_are_refused(footer):
    with pytest.raises(ThriftError, match=r"lacks a required field|a size must be an integer >= 0, got -1"):
        read_footer(footer)
