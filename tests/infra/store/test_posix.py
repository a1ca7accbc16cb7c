"""Creating files atomically and durably on a POSIX file system."""

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from infra.store import posix
from infra.store.storage import CreateOutcome, StorageError, create_if_absent, list_files, probe


def names(folder):
    return sorted(path.name for path in Path(folder).iterdir())


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
    with pytest.raises(StorageError, match="the folder cannot be created or written: Operation not permitted"):
        probe(str(tmp_path))
    assert names(tmp_path) == []


def test_a_file_cannot_replace_a_folder_of_its_name(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(StorageError, match="a: cannot be created: Is a directory"):
        create_if_absent(f"{tmp_path}/a", b"1", "1")
