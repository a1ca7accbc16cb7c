"""Reading many files at once, folders, and files that cannot be read."""

import pytest

from infra.store import storage
from infra.store.storage import (
    FileInfo,
    StorageError,
    create_if_absent,
    info,
    join,
    list_files,
    read_bytes,
    read_exact,
    read_many,
)


def test_files_are_read_in_order_and_missing_ones_are_none(root):
    for i in range(30):
        create_if_absent(join(root, f"{i:02d}"), str(i).encode(), "1")
    files = list_files(root)
    gone = FileInfo(join(root, "30"), 3, "0")
    assert list(read_many([*files, gone, files[0]])) == [*(str(i).encode() for i in range(30)), None, b"0"]


def test_a_file_name_too_long_raises_a_storage_error(tmp_path):
    for use in (read_bytes, info, storage.arrow_source, lambda uri: read_exact(uri, 0, 1)):
        with pytest.raises(StorageError, match=r"n: cannot be read: .*File name too long"):
            use(str(tmp_path / ("n" * 300)))


def test_reading_a_folder_or_a_prefix_raises_file_not_found(root):
    create_if_absent(join(root, "folder", "file"), b"1", "1")
    for use in (read_bytes, lambda uri: read_exact(uri, 0, 1)):
        with pytest.raises(FileNotFoundError):
            use(join(root, "folder"))
