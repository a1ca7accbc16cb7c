import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest

from infra.errors import LensscanError
from infra.store import posix, s3_file, storage
from infra.store import s3 as objects
from infra.store.storage import (
    CreateOutcome,
    FileInfo,
    StorageError,
    create_if_absent,
    exists,
    info,
    join,
    list_files,
    open_read,
    probe,
    read_blocks,
    read_bytes,
    read_exact,
)
from tests.infra.stores import BadStore, LosingStore, serving
from tests.servers import plain_s3


def names(folder):
    return sorted(path.name for path in Path(folder).iterdir())


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
        assert names(root.removeprefix("file://")) == ["x.parquet"]


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


def test_racing_processes_have_one_winner(tmp_path):
    code = (
        "import sys; from infra.store.storage import create_if_absent\n"
        "sys.stdin.readline()\n"
        "for i in range(20): print(create_if_absent(f'{sys.argv[1]}/{i}', sys.argv[2].encode() * 1000, sys.argv[2]))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    writers = [subprocess.Popen([*command, str(i)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for i in range(2)]
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    outputs = [writer.communicate()[0].split() for writer in writers]
    for pair in zip(*outputs, strict=True):
        assert sorted(pair) == ["created", "exists"]


@pytest.mark.parametrize("named", [False, True], ids=["unnamed", "named"])
def test_a_writer_killed_before_the_link_leaves_no_visible_file(tmp_path, named):
    code = (
        "import os, signal, sys; from infra.store import posix, storage\n"
        "posix.os.link = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)\n"
        + ("posix._link_unnamed = lambda *a: False\n" if named else "")
        + "storage.create_if_absent(sys.argv[1], b'x' * 1000, 'a')"
    )
    uri = str(tmp_path / "unit.parquet")
    assert subprocess.run([sys.executable, "-c", code, uri], check=False).returncode == -signal.SIGKILL
    assert list_files(str(tmp_path)) == []
    with duckdb.connect() as connection:
        assert connection.execute("SELECT count(*) FROM glob(?)", [f"{tmp_path}/**/*.parquet"]).fetchall() == [(0,)]
    assert len(names(tmp_path)) == named
    assert create_if_absent(uri, b"y", "b") is CreateOutcome.CREATED


def test_creation_works_on_file_systems_without_unnamed_files(tmp_path, monkeypatch):
    monkeypatch.setattr(posix, "_link_unnamed", lambda *_: False)
    probe(str(tmp_path))
    assert create_if_absent(f"{tmp_path}/a", b"first", "1") is CreateOutcome.CREATED
    assert create_if_absent(f"{tmp_path}/a", b"second", "2") is CreateOutcome.EXISTS
    assert names(tmp_path) == ["a"]


@pytest.mark.fault(34)
def test_data_reach_the_disk_before_the_name_does(tmp_path, monkeypatch):
    calls = []
    for name in ("fsync", "link"):
        real = getattr(os, name)
        monkeypatch.setattr(posix.os, name, lambda *a, name=name, real=real, **k: (calls.append(name), real(*a, **k))[1])
    create_if_absent(f"{tmp_path}/a", b"1", "1")
    # The first fsync is for the folder's own name.
    assert calls == ["fsync", "fsync", "link", "fsync"]


@pytest.mark.fault(34)
@pytest.mark.parametrize("named", [False, True], ids=["unnamed", "named"])
def test_system_calls_sync_the_data_before_link_and_return(tmp_path, named):
    strace = shutil.which("strace") or pytest.skip("needs strace")
    code = (
        "import sys; from infra.store import posix, storage\n"
        + ("posix._link_unnamed = lambda *a: False\n" if named else "")
        + "storage.create_if_absent(sys.argv[1], b'canary', 'a'); print('returned', flush=True)"
    )
    trace, unit = tmp_path / "trace", tmp_path / "root" / "units" / "a.parquet"
    command = [strace, "-f", "-y", "-e", "trace=write,fsync,fdatasync,link,linkat,mkdir", "-o", trace]
    done = subprocess.run([*command, sys.executable, "-c", code, unit], capture_output=True, text=True, check=False)
    if done.returncode and "ptrace" in done.stderr:
        pytest.skip("strace is not allowed here")
    folder = re.escape(str(unit.parent))
    steps = [
        rf"mkdir\(\"{folder}\"",
        rf"fsync\(\d+<{re.escape(str(unit.parent.parent))}>\) += 0",
        rf"write\((\d+)<{folder}/[^>]*>[^,]*, \"canary\"",
        rf"fsync\(\d+<{folder}/[^>]*>[^,]*\) += 0",
        rf"link(at)?\(.*\"{folder}/a.parquet\".*\) += 0",
        rf"fsync\(\d+<{folder}>\) += 0",
        r"write\(1<.*returned",
    ]
    lines = trace.read_text().splitlines()
    places = [[i for i, line in enumerate(lines) if re.search(step, line)] for step in steps]
    assert all(places), [step for step, found in zip(steps, places, strict=True) if not found]
    # Compare the last time of each step: no data are written after their sync or linked before it.
    assert [found[-1] for found in places] == sorted(found[-1] for found in places)


def test_a_file_system_without_hard_links_raises_an_error(tmp_path, monkeypatch):
    def no_links(*_args, **_kwargs):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(posix.os, "link", no_links)
    with pytest.raises(StorageError, match="cannot be created: Operation not permitted"):
        probe(str(tmp_path))
    assert names(tmp_path) == []


def test_reads_are_whole_or_raise_an_error(root):
    uri = join(root, "data")
    create_if_absent(uri, bytes(range(100)), "1")
    assert read_exact(uri, 10, 5) == bytes(range(10, 15))
    assert read_exact(uri, 0, 100, info(uri).etag) == bytes(range(100))
    for start, length in [(98, 5), (200, 1)]:
        with pytest.raises(StorageError, match="data: "):
            read_exact(uri, start, length)
    with pytest.raises(StorageError, match="changed while it was read"):
        read_exact(uri, 0, 5, "another-etag")
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
    for name in ("b.parquet", "a/c.parquet", "a/d.json", ".hidden.parquet"):
        create_if_absent(join(root, name), name.encode(), "1")
        assert exists(join(root, name))
    found = list_files(root, ".parquet")
    assert [file.uri.removeprefix(root.removeprefix("file://")) for file in found] == ["/a/c.parquet", "/b.parquet"]
    assert [file.size for file in found] == [11, 9]
    assert [info(file.uri) for file in found] == found
    assert exists(join(root, "a"))
    assert not exists(join(root, "e"))


def test_reading_a_missing_file_raises_file_not_found(root):
    for read in (read_bytes, info, open_read, lambda uri: read_exact(uri, 0, 1)):
        with pytest.raises(FileNotFoundError):
            read(join(root, "absent"))


@pytest.mark.server
def test_a_large_object_is_read_in_few_requests(s3, monkeypatch):
    uri, data = join(s3, "data"), os.urandom(3_000_000)
    create_if_absent(uri, data, "1")
    asked = []
    read_range = s3_file.read_range
    monkeypatch.setattr(s3_file, "read_range", lambda *args: (asked.append(args), read_range(*args))[1])
    with open_read(uri) as file:
        file.seek(100)
        assert file.read() == data[100:]
        file.seek(0)
        assert file.read(10) == data[:10]
    assert len(asked) <= 3


@pytest.mark.server
def test_a_listing_covers_several_pages(s3, monkeypatch):
    for name in "abcde":
        create_if_absent(join(s3, name), b"1", "1")
    page = objects._page
    monkeypatch.setattr(objects, "_page", lambda uri, **options: page(uri, **options, MaxKeys=2))
    assert [file.uri for file in list_files(s3)] == [join(s3, name) for name in "abcde"]


def test_a_file_cannot_replace_a_folder_of_its_name(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(StorageError, match="a: cannot be created: Is a directory"):
        create_if_absent(f"{tmp_path}/a", b"1", "1")


def test_other_schemes_are_refused():
    with pytest.raises(StorageError, match=r"got ftp://") as caught:
        read_bytes("ftp://host/file")
    assert isinstance(caught.value, LensscanError)


@pytest.mark.fault(36)
@pytest.mark.parametrize("scheme", ["s3", "ftp"])
def test_a_password_in_a_uri_is_refused_and_not_repeated(scheme):
    with pytest.raises(StorageError, match="must not hold a user or password") as caught:
        read_bytes(f"{scheme}://me:hunter2@host/file")
    assert "hunter2" not in str(caught.value)


@pytest.mark.server
@pytest.mark.fault(15)
def test_a_store_that_ignores_conditions_is_refused(monkeypatch):
    with serving(BadStore, monkeypatch) as server, pytest.raises(StorageError, match="ignores conditional creation"):
        probe("s3://bucket/catalogue")
    assert server.objects == {}


@pytest.mark.server
@pytest.mark.fault(13)
def test_a_lost_reply_is_resolved_by_reading_back(monkeypatch):
    with serving(LosingStore, monkeypatch) as server:
        assert create_if_absent("s3://bucket/unit", b"mine", "1") is CreateOutcome.ALREADY_MINE
        assert create_if_absent("s3://bucket/unit", b"other", "2") is CreateOutcome.EXISTS
    assert list(server.objects.values()) == [b"mine"]


@pytest.mark.server
@pytest.mark.fault(36)
def test_errors_hold_no_credentials(s3, monkeypatch):
    missing = "s3://no-such-bucket-here/key"
    with pytest.raises(StorageError, match="cannot be created") as caught:
        create_if_absent(missing, b"1", "1")
    texts = [str(caught.value), repr(caught.value), str(caught.value.__cause__)]
    assert not any("canary" in text for text in texts)
