"""Offer the objects of a listing to DuckDB, which reads S3 without a downloaded extension only through fsspec."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, BinaryIO

from fsspec import AbstractFileSystem

from infra.store.files import FileInfo
from infra.store.s3_file import open_object


class ListedObjects(AbstractFileSystem):  # type: ignore[misc]
    """A file system that holds exactly the listed versions of the listed objects, under their URIs."""

    protocol = "s3"
    cachable = False

    def __init__(self, files: Iterable[FileInfo]) -> None:
        super().__init__()
        self._files = {file.uri: file for file in files}

    def glob(self, path: str, **_options: Any) -> list[str]:
        return [path] if path in self._files else []

    def size(self, path: str) -> int:
        return self._files[path].size

    def modified(self, _path: str) -> datetime:
        """Return a constant: a listed version never changes."""
        return datetime(1970, 1, 1, tzinfo=UTC)

    def open(self, path: str, _mode: str = "rb", **_options: Any) -> BinaryIO:
        return open_object(self._files[path])
