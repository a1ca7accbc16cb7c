"""The objects of a listing, as DuckDB reads them."""

import io

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.store.listed_objects import ListedObjects
from infra.store.storage import create_if_absent, join, list_files
from tests.servers import plain_s3

pytestmark = pytest.mark.server


def parquet(values):
    sink = io.BytesIO()
    pq.write_table(pa.table({"a": values}), sink)
    return sink.getvalue()


def read(files, uri):
    with duckdb.connect(config={"autoinstall_known_extensions": False, "autoload_known_extensions": False}) as connection:
        connection.register_filesystem(ListedObjects(files))
        return sorted(connection.execute("SELECT a FROM read_parquet(?)", [uri]).fetchall())


def test_duckdb_reads_listed_objects_and_no_others(s3):
    for name, values in {"it's 1": [1, 2], "b": [3]}.items():
        create_if_absent(join(s3, f"{name}.parquet"), parquet(values), "1")
    files = list_files(s3)
    assert read(files, [file.uri for file in files]) == [(1,), (2,), (3,)]
    with pytest.raises(duckdb.Error, match="No files found"):
        read(files[:1], files[1].uri)


def test_another_version_of_a_listed_object_is_not_read(s3):
    uri = join(s3, "a.parquet")
    create_if_absent(uri, parquet([1]), "1")
    files = list_files(s3)
    bucket, key = uri.removeprefix("s3://").split("/", 1)
    plain_s3().put_object(Bucket=bucket, Key=key, Body=parquet([2]))
    with pytest.raises(duckdb.Error, match="changed while it was read"):
        read(files, uri)
    assert read(list_files(s3), uri) == [(2,)]
