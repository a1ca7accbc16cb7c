"""Markers are written whole, and one that was cut off counts for nothing."""

import errno
from pathlib import Path

import pytest

from training.markers import read_marker, write_marker


def test_a_marker_says_what_was_written(tmp_path):
    assert read_marker(tmp_path / "note.json") is None
    write_marker(tmp_path / "note.json", {"a": 1})
    assert read_marker(tmp_path / "note.json") == {"a": 1}


@pytest.mark.parametrize("content", [b"", b'{"a": ', b"\0\0\0\0", b"\xff", b"0"])
def test_a_damaged_marker_counts_as_absent(tmp_path, content):
    (tmp_path / "note.json").write_bytes(content)
    assert read_marker(tmp_path / "note.json") is None


@pytest.mark.parametrize("before", [{}, {"note.json": b"before"}], ids=["none", "old"])
def test_a_full_disk_leaves_no_part_of_a_marker(tmp_path, monkeypatch, before):
    for name, content in before.items():
        (tmp_path / name).write_bytes(content)

    def write_half(path, text, **_):
        path.write_bytes(text[: len(text) // 2].encode())
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", write_half)
    with pytest.raises(OSError, match="No space left"):
        write_marker(tmp_path / "note.json", {"a": 1})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
