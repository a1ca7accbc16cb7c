"""Replacing a file as a whole: a reader, another writer and a crash see the old content or the new one."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import pytest

from infra.store import replacement
from infra.store import s3 as objects
from infra.store.files import FileInfo
from infra.store.replacement import replace, replace_if
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


def test_a_file_is_replaced_only_if_it_is_as_expected(root):
    uri = f"{root}/deep/x"
    assert not replace_if(uri, b"first", b"other")
    assert list_files(root) == []
    assert replace_if(uri, b"first", None)
    assert not replace_if(uri, b"second", None)
    assert not replace_if(uri, b"second", b"other")
    assert read_bytes(uri) == b"first"
    assert replace_if(uri, b"second", b"first")
    assert not replace_if(uri, b"third", b"first")
    assert read_bytes(uri) == b"second"
    assert [file.uri for file in list_files(root)] == [uri]


def test_of_many_writers_with_one_expectation_one_wins(root):
    uri = f"{root}/x"
    replace_if(uri, b"start", None)
    with ThreadPoolExecutor(8) as pool:
        for i in range(4):
            expected = read_bytes(uri)
            won = list(pool.map(lambda k, i=i, expected=expected: replace_if(uri, f"{i} {k}".encode(), expected), range(8)))
            assert sum(won) == 1
            assert read_bytes(uri) == f"{i} {won.index(True)}".encode()


@pytest.mark.server
def test_a_lost_reply_to_a_replacement_is_resolved(s3, monkeypatch):
    uri, ask = f"{s3}/x", objects.ask

    def lost(where, question, *args, **options):
        answer = ask(where, question, *args, **options)
        if "tries" in options:
            raise StorageError(f"{where}: no whole answer")
        return answer

    replace_if(uri, b"first", None)
    monkeypatch.setattr(objects, "ask", lost)
    assert replace_if(uri, b"second", b"first")
    assert read_bytes(uri) == b"second"


def answering(*answers):
    """Return a function that gives or raises one of the answers at each call."""
    left = iter(answers)

    def answer(*_args, **_options):
        found = next(left)
        if isinstance(found, Exception):
            raise found
        return found

    return answer


@pytest.mark.parametrize(
    ("answers", "is_refused"),
    [
        ([StorageError("no whole answer"), FileInfo("s3://bucket/x", 5, "e")], True),
        ([FileInfo("s3://bucket/x", 5, "e"), FileInfo("s3://bucket/x", 5, "e")], True),
        ([FileInfo("s3://bucket/x", 5, "e"), FileInfo("s3://bucket/x", 5, "f")], False),
        ([FileInfo("s3://bucket/x", 5, "e"), FileNotFoundError("x")], False),
        ([FileNotFoundError("x")], False),
    ],
    ids=["no answer", "same version", "other version", "removed meanwhile", "absent"],
)
def test_a_failed_read_of_an_object_replaces_nothing(monkeypatch, answers, is_refused):
    monkeypatch.setattr(replacement, "info", answering(*answers))
    monkeypatch.setattr(objects, "read_range", answering(StorageError("no whole answer")))
    with pytest.raises(StorageError, match="no whole answer") if is_refused else nullcontext():
        assert not replace_if("s3://bucket/x", b"second", b"first")
