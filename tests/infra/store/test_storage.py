"""Reading, listing and creating files by URI: the same on local paths, `file://` and S3."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import pytest

from infra.errors import LensscanError
from infra.store import s3 as objects
from infra.store import s3_client, storage
from infra.store.storage import (
    CreateOutcome,
    FileInfo,
    StorageError,
    absolute,
    create_if_absent,
    exists,
    info,
    join,
    list_files,
    open_read,
    probe,
    read_blocks,
    read_bytes,
    read_many,
    read_version,
)
from tests.servers import plain_s3


def test_the_second_creation_leaves_the_first_alone(root):
    uri = join(root, "a", "b.bin")
    assert create_if_absent(uri, b"first", "1") is CreateOutcome.CREATED
    assert create_if_absent(uri, b"first", "1") is CreateOutcome.ALREADY_MINE
    assert create_if_absent(uri, b"second", "2") is CreateOutcome.EXISTS
    assert read_bytes(uri) == b"first"


def test_a_creation_leaves_no_other_files(root):
    create_if_absent(join(root, "x.parquet"), b"1", "1")
    create_if_absent(join(root, "x.parquet"), b"2", "2")
    probe(root)
    if root.startswith("s3"):
        bucket, prefix = root.removeprefix("s3://").split("/")
        found = plain_s3().list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]
        assert [entry["Key"] for entry in found] == [f"{prefix}/x.parquet"]
    else:
        assert [path.name for path in Path(root.removeprefix("file://")).iterdir()] == ["x.parquet"]


def test_one_of_many_racing_writers_wins_and_its_bytes_stay(root):
    n_writers = 4
    for i_race in range(5):
        uri = join(root, f"race-{i_race}")
        start = threading.Barrier(n_writers)

        def write(i_writer, uri=uri, start=start):
            start.wait()
            return create_if_absent(uri, bytes([i_writer]) * 100_000, str(i_writer))

        with ThreadPoolExecutor(n_writers) as pool:
            outcomes = list(pool.map(write, range(n_writers)))
        assert sorted(outcomes) == [CreateOutcome.CREATED] + [CreateOutcome.EXISTS] * (n_writers - 1)
        assert read_bytes(uri) == bytes([outcomes.index(CreateOutcome.CREATED)]) * 100_000


def test_an_open_file_seeks_and_reads(root):
    uri = join(root, "data")
    create_if_absent(uri, bytes(range(100)), "1")
    assert read_bytes(uri) == bytes(range(100))
    with open_read(uri) as file:
        file.seek(95)
        assert file.read() == bytes(range(95, 100))
        assert file.seek(-10, os.SEEK_END) == 90
        assert file.read(3) == bytes(range(90, 93))
        assert file.seek(-1, os.SEEK_CUR) == file.tell() == 92
        assert file.read(2) == bytes(range(92, 94))
        file.seek(200)
        assert file.read(5) == b""
        with pytest.raises((OSError, ValueError)):
            file.seek(-1)


def test_a_large_file_is_read_in_blocks_of_mebibytes(root):
    data = os.urandom(2**24 + 5)
    uri = join(root, "large")
    create_if_absent(uri, data, "1")
    blocks = list(read_blocks(info(uri)))
    assert 2**20 <= len(blocks[0]) <= 2**23
    assert b"".join(blocks) == data


def test_blocks_hold_the_file_from_start_to_end(root, monkeypatch):
    data = os.urandom(1000)
    uri = join(root, "data")
    create_if_absent(uri, data, "1")
    create_if_absent(join(root, "empty"), b"", "1")
    for size in (1, 100, 300, 1000, 5000) if not root.startswith("s3") else (100, 300, 1000, 5000):
        monkeypatch.setattr(storage, "LOCAL_STREAM_BYTES", size)
        monkeypatch.setattr(objects, "STREAM_BYTES", size)
        blocks = list(read_blocks(info(uri)))
        assert b"".join(blocks) == data
        assert [len(block) for block in blocks] == [min(size, 1000 - at) for at in range(0, 1000, size)]
    assert list(read_blocks(info(join(root, "empty")))) == []
    blocks = read_blocks(info(uri))
    next(blocks)
    blocks.close()
    with pytest.raises(FileNotFoundError):
        list(read_blocks(FileInfo(join(root, "absent"), 5, "etag")))


def test_reading_blocks_of_a_changed_file_raises_an_error(root):
    uri = join(root, "data")
    create_if_absent(uri, bytes(1000), "1")
    listed = info(uri)
    with pytest.raises(StorageError, match=r"data: changed while it was read \(its etag is no longer other"):
        list(read_blocks(FileInfo(listed.uri, 1000, "other")))
    with pytest.raises(StorageError, match="data: "):
        list(read_blocks(FileInfo(listed.uri, 1001, "other")))


def test_listing_is_recursive_sorted_and_fresh(root):
    assert list_files(root) == []
    for name in ("b.parquet", "a/c.parquet", "a/d.json", ".hidden.parquet", ".partial/e.parquet", "a/.~tmp~/b/f.parquet"):
        create_if_absent(join(root, name), name.encode(), "1")
        assert exists(join(root, name))
    found = list_files(root, ".parquet")
    assert [file.uri.removeprefix(root.removeprefix("file://")) for file in found] == ["/a/c.parquet", "/b.parquet"]
    assert [file.size for file in found] == [11, 9]
    assert [info(file.uri) for file in found] == found
    hidden = list_files(join(root, "a", ".~tmp~"))
    assert [file.uri.rpartition("/")[2] for file in hidden] == ["f.parquet"]
    assert exists(join(root, "a"))
    assert not exists(join(root, "e"))


def test_reading_a_missing_file_raises_file_not_found(root):
    for read in (read_bytes, info, open_read):
        with pytest.raises(FileNotFoundError):
            read(join(root, "absent"))


@pytest.mark.parametrize("uri", ["ftp://host/file", "http://host:8080/file"])
def test_other_schemes_are_refused(uri):
    with pytest.raises(StorageError, match=rf"^{uri}: must be a local path, file:// or s3://, got \w+://$") as caught:
        read_bytes(uri)
    assert isinstance(caught.value, LensscanError)


@pytest.mark.fault(36)
@pytest.mark.parametrize("scheme", ["s3", "ftp"])
def test_a_password_in_a_uri_is_refused_and_not_repeated(scheme):
    with pytest.raises(StorageError, match="must not hold a user or password") as caught:
        read_bytes(f"{scheme}://me:hunter2@host/file")
    assert "hunter2" not in str(caught.value)


def test_files_are_read_in_order_and_missing_ones_are_none(root):
    for i in range(30):
        create_if_absent(join(root, f"{i:02d}"), str(i).encode(), "1")
    files = list_files(root)
    gone = FileInfo(join(root, "30"), 3, "0")
    assert list(read_many([*files, gone, files[0]])) == [*(str(i).encode() for i in range(30)), None, b"0"]


def test_whole_objects_with_their_range_are_read_in_one_request(monkeypatch):
    """A gateway may state the range of the bytes that it sends even if these are all bytes."""
    asked = []

    def get_object(**wanted):
        asked.append(wanted["Key"])
        return {"Body": BytesIO(b"data"), "ETag": '"0"', "ContentRange": "bytes 0-3/4"}

    head = {"ContentLength": 4, "ETag": '"0"'}
    client = SimpleNamespace(get_object=get_object, head_object=lambda **_: head)
    monkeypatch.setattr(s3_client, "s3_client", lambda *_: client)
    files = [FileInfo(f"s3://bucket/{key}", 4, "0") for key in "ab"]
    assert list(read_many(files)) == [b"data", b"data"]
    assert [read_version(files[0]), read_bytes("s3://bucket/a")] == [b"data", b"data"]
    assert sorted(asked) == ["a", "a", "a", "b"]


def test_only_the_listed_version_of_a_file_is_read(root):
    uri = join(root, "a.txt")
    create_if_absent(uri, b"first", "1")
    (listed,) = list_files(root)
    assert read_version(listed) == b"first"
    with pytest.raises(StorageError, match=r"a\.txt: changed while it was read"):
        read_version(replace(listed, etag="other"))
    with pytest.raises(FileNotFoundError):
        read_version(replace(listed, uri=join(root, "b.txt")))


def test_a_file_name_too_long_raises_a_storage_error(tmp_path):
    def read(uri):
        return read_version(FileInfo(uri, 1, "listed"))

    for use in (read_bytes, info, storage.arrow_source, read):
        with pytest.raises(StorageError, match=r"n: cannot be read: .*File name too long"):
            use(str(tmp_path / ("n" * 300)))


def test_reading_a_folder_or_a_prefix_raises_file_not_found(root):
    create_if_absent(join(root, "folder", "file"), b"1", "1")
    with pytest.raises(FileNotFoundError):
        read_bytes(join(root, "folder"))


@pytest.mark.parametrize("uri", ["s3://", "s3:///folder"])
def test_an_s3_uri_without_a_bucket_is_refused(uri):
    with pytest.raises(StorageError, match="must name a bucket, as in s3://bucket/folder"):
        absolute(uri)
