"""Silence library warnings about conditions that lensscan checks itself."""

import contextlib
import warnings
from collections.abc import Iterator
from threading import RLock

_FILTERS = RLock()
"""Python keeps one list of filters for all threads: two that change and restore it at once leave it changed for good."""


@contextlib.contextmanager
def without_warnings() -> Iterator[None]:
    """Suppress warnings in the `with` block, for one thread at a time: do not use it around code that may wait for long."""
    with _FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
