"""A file with a second name, and folders that are listed and removed, on a disk and on S3."""

import os
from pathlib import Path

import pytest

from infra.store.copies import copy_file, put_file, settle
from infra.store.folders import list_folders, remove_folder
from infra.store.replacement import replace
from infra.store.storage import StorageError, is_s3, list_files, local_path, read_bytes


def test_a_copy_outlives_its_source(root):
    source, target = f"{root}/a/x", f"{root}/b/deep/y"
    replace(source, b"content")
    copy_file(source, target)
    if not is_s3(root):
        assert local_path(source).samefile(local_path(target)), "they share their bytes"
    remove_folder(f"{root}/a")
    assert read_bytes(target) == b"content"
    with pytest.raises(FileNotFoundError):
        copy_file(source, f"{root}/c/x")


def test_a_file_of_this_machine_is_put(root, tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    put_file(tmp_path / "file", f"{root}/deep/x")
    (tmp_path / "file").unlink()
    settle(root)
    assert read_bytes(f"{root}/deep/x") == b"content"


def test_settling_syncs_the_disk(root, monkeypatch):
    calls = []
    monkeypatch.setattr(os, "sync", lambda: calls.append("sync"))
    settle(root)
    assert calls == ([] if is_s3(root) else ["sync"])


def test_a_disk_without_links_copies(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(18, "Invalid cross-device link")

    (tmp_path / "file").write_bytes(b"content")
    monkeypatch.setattr(Path, "hardlink_to", refuse)
    put_file(tmp_path / "file", str(tmp_path / "x"))
    assert (tmp_path / "x").read_bytes() == b"content"
    assert not (tmp_path / "x").samefile(tmp_path / "file")


def test_folders_are_listed_and_removed(root):
    assert list_folders(root) == []
    for name in ("a/x", "a/deep/y", ".hidden/x", "b/x", "ab/x", "file"):
        replace(f"{root}/{name}", b"1")
    assert list_folders(root) == [".hidden", "a", "ab", "b"]
    assert list_folders(f"{root}/a") == ["deep"]
    remove_folder(f"{root}/a")
    remove_folder(f"{root}/nosuch")
    remove_folder(f"{root}/.hidden")
    assert list_folders(root) == ["ab", "b"]
    assert [file.uri.rpartition("/")[2] for file in list_files(root)] == ["x", "x", "file"]


@pytest.mark.server
def test_a_long_listing_of_folders_is_whole(s3, monkeypatch):
    from infra.store import s3 as objects

    for i in range(7):
        replace(f"{s3}/f{i}/x", b"1")
    page = objects._page
    monkeypatch.setattr(objects, "_page", lambda uri, **options: page(uri, **{**options, "MaxKeys": 3}))
    assert list_folders(s3) == [f"f{i}" for i in range(7)]
    remove_folder(s3)
    assert list_folders(s3) == []


def test_a_folder_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"/file: is a file, must be a folder"):
        list_folders(str(tmp_path / "file"))
