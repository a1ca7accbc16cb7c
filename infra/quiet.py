"""Silence for libraries that warn of what is checked anyway."""

import contextlib
import warnings
from collections.abc import Iterator
from threading import RLock

_FILTERS = RLock()
"""Python keeps one list of filters for all threads: two that change and restore it at a time leave it changed for good."""


@contextlib.contextmanager
def without_warnings() -> Iterator[None]:
    """No warnings while this lasts; one thread at a time, so not around what may wait for long."""
    with _FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
