"""Tell files that cannot be read, whenever they are read, from failures that another try may not meet."""

from infra.store.storage import StorageError
from scanner.catalogue.unit_inputs import InputChangedError
from scanner.scan.errors import ScanError
from scanner.sources.tiles import TileError
from scanner.vocabulary.rejections import Rejection

UNUSABLE = (InputChangedError, TileError, ScanError, FileNotFoundError)
"""Errors for files that are gone, changed or damaged. All others, such as those of the store, may pass by themselves."""


def why_unusable(error: Exception) -> str:
    """Return why an object has no pixels, from one of `UNUSABLE` or a rejection.

    Raises:
        StorageError: the store failed, which says nothing about the object.
    """
    if isinstance(error, Rejection) and error.code.retriable:
        raise StorageError(error.detail) from error
    return str(error)
