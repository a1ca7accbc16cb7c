"""URIs of local files, errors of files that cannot be read, and conditions that a store must fulfil."""

import os
import re
from pathlib import Path

import pytest

from infra.store import storage
from infra.store.files import CreateOutcome, FileInfo, PlaceError
from infra.store.semantics import check_writes, clock_skew_s
from infra.store.storage import (
    StorageError,
    absolute,
    arrow_source,
    check_folder,
    create_if_absent,
    exists,
    info,
    is_s3,
    join,
    list_files,
    local_only,
    local_path,
    open_read,
    probe,
    read_blocks,
    read_bytes,
)


def test_uris_are_joined_with_single_slashes():
    assert join("/a/", "/b/", "c/d", "e/") == "/a/b/c/d/e"
    assert join("s3://bucket", "x") == "s3://bucket/x"
    assert join("file:///a//") == "file:///a"


def test_local_paths_become_absolute_and_uris_of_stores_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute("a/b") == absolute(f"file://{tmp_path}/a/b") == absolute(f"{tmp_path}/a/b") == f"{tmp_path}/a/b"
    assert absolute("s3://bucket/a") == "s3://bucket/a"
    assert local_path("file:///a") == local_path("/a") == Path("/a")


def test_a_tilde_before_a_name_is_part_of_it(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert (local_path("~"), local_path("~/a")) == (tmp_path, tmp_path / "a")
    assert [str(local_path(name)) for name in ("~scratch/a", "~root/a", "a/~/b")] == ["~scratch/a", "~root/a", "a/~/b"]


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("s3://bucket/a", True),
        ("s3://bucket/a@b:c", True),
        ("file:///a", False),
        ("file://host:8/a", False),
        ("/a", False),
        ("a@b:c/d", False),
        ("s3:/bucket", False),
        ("", False),
    ],
)
def test_uris_of_stores_differ_from_local_paths(uri, expected):
    assert is_s3(uri) is expected


@pytest.mark.parametrize("uri", ["s3://me@bucket/a", "s3://bucket:9000/a", "me:secret@s3://bucket/a", "file://me@host/a"])
def test_users_passwords_and_ports_are_refused_and_not_repeated(uri):
    with pytest.raises(StorageError, match="must not hold a user or password") as caught:
        is_s3(uri)
    assert not any(part in str(caught.value) for part in ("secret", "me@", "9000"))


def test_a_new_folder_is_accepted_but_a_file_is_not(tmp_path):
    check_folder(str(tmp_path))
    check_folder(str(tmp_path / "new"))
    check_folder("s3://bucket/a")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="file: is a file, must be a folder or the name of a new one"):
        check_folder(f"file://{tmp_path}/file")
    with pytest.raises(StorageError, match=f"below/it: {tmp_path}/file is a file, must be a folder"):
        check_folder(f"{tmp_path}/file/below/it")


def test_what_is_on_s3_is_no_local_path(tmp_path):
    assert local_only(f"file://{tmp_path}/a") == tmp_path / "a"
    with pytest.raises(PlaceError, match="s3://bucket/a: is on S3, must be a local path"):
        local_only("s3://bucket/a")


@pytest.mark.parametrize("in_place", [True, False])
def test_a_file_of_equal_size_and_time_is_another_version(tmp_path, in_place):
    path, other = tmp_path / "a", tmp_path / "b"
    path.write_bytes(b"x" * 300)
    listed, before = info(f"file://{path}"), path.stat()
    assert listed == info(str(path)) == list_files(str(tmp_path))[0]
    assert list(read_blocks(listed)) == [b"x" * 300]
    # The clock of a disk has steps of a few milliseconds.
    while path.stat().st_ctime_ns == before.st_ctime_ns:
        (path if in_place else other).write_bytes(b"y" * 300)
        os.utime(path if in_place else other, ns=(before.st_atime_ns, before.st_mtime_ns))
        if not in_place:
            other.replace(path)
    with pytest.raises(StorageError, match=rf"a: changed while it was read \(its etag is no longer {listed.etag}\)"):
        list(read_blocks(listed))


@pytest.mark.parametrize("read", [read_bytes, info, arrow_source])
def test_reading_a_folder_raises_file_not_found(tmp_path, read):
    (tmp_path / "file").write_bytes(b"1")
    with pytest.raises(FileNotFoundError):
        read(str(tmp_path / "file" / "below"))
    if read is not info:
        with pytest.raises(FileNotFoundError, match="a folder, or below a file"):
            read(str(tmp_path))


@pytest.mark.parametrize(
    "read", [read_bytes, info, arrow_source, open_read, lambda uri: next(read_blocks(FileInfo(uri, 0, "")))]
)
def test_a_pipe_or_a_device_is_not_read(tmp_path, read):
    """Nothing ever comes out of this pipe, and no end out of the device."""
    os.mkfifo(tmp_path / "pipe")
    for uri in (str(tmp_path / "pipe"), "/dev/zero"):
        with pytest.raises(PlaceError, match=f"^{uri}: is a pipe or a device, must be a file$"):
            read(uri)


def test_an_unreadable_local_file_raises_a_storage_error(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(StorageError, match="loop: cannot be read: Too many levels of symbolic links"):
        read_bytes(str(tmp_path / "loop"))


def test_arrow_reads_a_local_file_on_demand(tmp_path):
    (tmp_path / "a").write_bytes(b"0123456789")
    with arrow_source(f"file://{tmp_path}/a") as source:
        source.seek(4)
        assert (source.read(3), source.size()) == (b"456", 10)


def test_listings_follow_links_and_refuse_unreadable_entries(tmp_path):
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "b.x").write_bytes(b"12")
    (root / "sub" / "a.x").write_bytes(b"1")
    (root / "sub" / "a.y").write_bytes(b"1")
    (root / "link").symlink_to(tmp_path / "elsewhere")
    # Links to folders that they lie in have 2^40 paths.
    (root / "loop").symlink_to(root)
    (root / "sub" / "other_loop").symlink_to("..")
    assert [(file.uri, file.size) for file in list_files(str(root), ".x")] == [(f"{root}/link/b.x", 2), (f"{root}/sub/a.x", 1)]
    (root / "broken.x").symlink_to("nowhere")
    assert [file.uri for file in list_files(str(root), ".y")] == [f"{root}/sub/a.y"]
    with pytest.raises(StorageError, match=r"broken\.x: went away while it was listed, or is a broken link"):
        list_files(str(root), ".x")
    with pytest.raises(StorageError, match=r"a\.x: is a file, must be a folder"):
        list_files(str(root / "sub" / "a.x"))


def test_local_listings_give_absolute_paths(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    assert [file.uri for file in list_files("in")] == [file.uri for file in list_files(f"file://{tmp_path}/in")]
    assert list_files("in")[0].uri == f"{tmp_path}/in/a"
    assert list_files("absent") == []
    assert (exists("in"), exists("in/a"), exists("absent")) == (True, True, False)


CREATED, MINE, EXISTS = CreateOutcome.CREATED, CreateOutcome.ALREADY_MINE, CreateOutcome.EXISTS


@pytest.mark.parametrize(
    ("outcomes", "content", "is_good"),
    [
        ((CREATED, EXISTS), b"first", True),
        # The reply to the first was lost.
        ((MINE, EXISTS), b"first", True),
        ((EXISTS, EXISTS), b"first", False),
        ((CREATED, CREATED), b"first", False),
        ((CREATED, MINE), b"first", False),
        ((CREATED, EXISTS), b"second", False),
    ],
)
def test_a_store_must_refuse_to_create_a_name_twice(tmp_path, monkeypatch, outcomes, content, is_good):
    answers, asked = iter(outcomes), []

    def answer(uri, data, attempt):
        asked.append((uri, attempt))
        Path(uri).write_bytes(data)
        return next(answers)

    monkeypatch.setattr(storage, "create_if_absent", answer)
    monkeypatch.setattr(storage, "read_bytes", lambda _uri: content)
    if is_good:
        probe(str(tmp_path))
    else:
        with pytest.raises(StorageError, match=re.escape(f"{tmp_path}: the store ignores conditional creation")):
            probe(str(tmp_path))
    assert list(tmp_path.iterdir()) == []
    assert len({uri for uri, _ in asked}) == 1
    assert len({attempt for _, attempt in asked}) == 2
    assert asked[0][0].startswith(f"{tmp_path}/.probe-")


@pytest.mark.parametrize("check", [probe, check_writes, clock_skew_s])
def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch, check):
    def refuse(*_args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(storage, "link_new", refuse)
    with pytest.raises(StorageError) as caught:
        check(str(tmp_path))
    assert str(caught.value) == f"{tmp_path}: the folder cannot be created or written: Permission denied"


@pytest.mark.parametrize("below", ["", "/new"])
def test_a_probe_says_that_its_root_is_a_file(tmp_path, below):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(PlaceError, match=rf"^{tmp_path}/file{below}: .*is a file, must be a folder"):
        probe(f"{tmp_path}/file{below}")


def test_an_error_of_a_creation_gives_the_cause(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match=r"/b: cannot be created: Not a directory$"):
        create_if_absent(f"{tmp_path}/file/b", b"1", "1")
