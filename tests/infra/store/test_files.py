"""Local files that are replaced whole."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.store.files import check_replaceable, replace_whole


def test_a_file_is_created_and_replaced(tmp_path):
    for content in (b"old", b"new"):
        with replace_whole(tmp_path / "a.json") as part:
            part.write_bytes(content)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a.json": content}


def test_readers_see_the_old_file_until_the_end(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    with replace_whole(tmp_path / "a") as part:
        part.write_bytes(b"new, and half")
        assert part.parent == tmp_path
        assert (tmp_path / "a").read_bytes() == b"old"
    assert (tmp_path / "a").read_bytes() == b"new, and half"


def test_writers_of_one_file_do_not_share_a_part(tmp_path):
    with replace_whole(tmp_path / "a") as first:
        first.write_bytes(b"first")
        with replace_whole(tmp_path / "a") as second:
            second.write_bytes(b"second")
        assert (tmp_path / "a").read_bytes() == b"second"
        check_replaceable(tmp_path / "a")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"first"}


@pytest.mark.parametrize("has_written", [True, False])
@pytest.mark.parametrize("error", [OSError("no space"), KeyboardInterrupt()], ids=["error", "interrupt"])
def test_a_failing_writer_leaves_the_old_file_alone(tmp_path, error, has_written):
    (tmp_path / "a").write_bytes(b"old")

    def write():
        with replace_whole(tmp_path / "a") as part:
            if has_written:
                part.write_bytes(b"half")
            raise error

    with pytest.raises(type(error)) as caught:
        write()
    assert caught.value is error
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"old"}


def test_a_file_that_cannot_be_replaced_leaves_no_part(tmp_path):
    (tmp_path / "a" / "below").mkdir(parents=True)
    with pytest.raises(IsADirectoryError), replace_whole(tmp_path / "a") as part:
        part.write_bytes(b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_the_check_leaves_nothing_and_makes_no_folder(tmp_path):
    check_replaceable(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_bytes(b"")
    for folder in ("new/deeper", "file"):
        with pytest.raises(FileNotFoundError, match=rf"there is no folder {tmp_path}/{folder}: '{tmp_path}/{folder}/a'$"):
            check_replaceable(tmp_path / folder / "a")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("write", [Path.write_bytes, lambda part, _: pq.write_table(pa.table({"a": [1]}), part)])
def test_errors_name_the_file_that_was_asked_for(write):
    for wanted in (Path("/proc/x.parquet"), Path("/dev/null/x.parquet")):
        with pytest.raises(OSError, match=r"x\.parquet'$") as caught, replace_whole(wanted) as part:
            write(part, b"")
        assert caught.value.filename == str(wanted)
        assert caught.value.strerror in {"No such file or directory", "Not a directory", "Permission denied"}
        with pytest.raises(OSError, match=r"x\.parquet'$"):
            check_replaceable(wanted)


def test_errors_about_other_files_stay_as_they_are(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, replace_whole(tmp_path / "a"):
        (tmp_path / "other").read_bytes()
    assert caught.value.filename == str(tmp_path / "other")
