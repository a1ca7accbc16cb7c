"""The local file that a command writes a page to."""

from pathlib import Path

from infra.errors import LensscanError
from infra.store.files import check_replaceable

PAGE_SUFFIXES = (".html", ".htm")


class PageError(LensscanError):
    """The page cannot be written to the given path."""


def page_path(name: str, option: str, *, overwrite: bool) -> Path:
    """Return the path of a page, after a check that it can be written there; nothing is left of the check.

    Raises:
        PageError: the path is no local file, has another ending, exists, or cannot be written.
    """
    path = Path(name)
    if "://" in name:
        raise PageError(f"{option} must be a local file, got {name}")
    if path.is_dir():
        raise PageError(f"{option} {name} is a folder, must be a file")
    if path.suffix.lower() not in PAGE_SUFFIXES:
        raise PageError(f"{option} must be a file that ends in {' or '.join(PAGE_SUFFIXES)}, got {name}")
    if path.exists() and not overwrite:
        raise PageError(f"{option} {name} exists; it is not replaced without --overwrite")
    try:
        check_replaceable(path)
    except OSError as error:
        raise PageError(f"{name}: cannot be written: {error.strerror}") from error
    return path
