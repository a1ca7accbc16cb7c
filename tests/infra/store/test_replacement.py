"""Replacing a file as a whole: a reader, another writer and a crash see the old content or the new one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from infra.store import s3 as objects
from infra.store.replacement import replace
from infra.store.storage import StorageError, info, list_files, read_bytes


@pytest.fixture(params=["path", pytest.param("s3", marks=pytest.mark.server)])
def root(request, tmp_path):
    return request.getfixturevalue("s3") if request.param == "s3" else str(tmp_path)


def test_a_file_is_created_and_replaced(root):
    uri = f"{root}/deep/x"
    for data in (b"first", b"", b"second" * 1000):
        replace(uri, data)
        assert read_bytes(uri) == data
    assert [file.uri for file in list_files(root)] == [uri]
    assert info(uri).modified is not None


def test_a_killed_writer_leaves_the_old_file(tmp_path):
    code = (
        "import os, signal, sys; from pathlib import Path; from infra.store.replacement import replace\n"
        "Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "replace(sys.argv[1], b'new' * 1000)"
    )
    uri = str(tmp_path / "x")
    replace(uri, b"old")
    assert subprocess.run([sys.executable, "-c", code, uri], check=False).returncode == -signal.SIGKILL
    assert read_bytes(uri) == b"old"
    assert [Path(file.uri).name for file in list_files(str(tmp_path))] == ["x"]


def test_content_and_name_are_synced(tmp_path, monkeypatch):
    uri, calls = str(tmp_path / "x"), []
    replace(uri, b"old")
    fsync, rename = os.fsync, Path.replace

    def renamed(path, target):
        calls.append("rename")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", lambda file: (calls.append(str(Path(f"/proc/self/fd/{file}").readlink())), fsync(file)))
    monkeypatch.setattr(Path, "replace", renamed)
    replace(uri, b"new")
    at = calls.index("rename")
    assert calls[at - 1].endswith(".tmp")
    assert calls[at + 1 :] == [str(tmp_path)]


def test_a_failure_names_the_file(tmp_path):
    (tmp_path / "folder" / "x").mkdir(parents=True)
    with pytest.raises(StorageError, match=r"folder: cannot be written: "):
        replace(str(tmp_path / "folder"), b"data")
    assert list_files(str(tmp_path)) == []


def test_an_object_that_is_too_large_is_refused(monkeypatch):
    monkeypatch.setattr(objects, "MAX_PUT_BYTES", 3)
    with pytest.raises(StorageError, match=r"one put holds at most 3 bytes, got 4$"):
        replace("s3://bucket/x", b"1234")
