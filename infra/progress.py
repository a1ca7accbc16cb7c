"""The callback to which long work reports its progress."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Callback that gets the number of items done and the number of all items; each user says what an item is."""


def no_progress(_done: int, _total: int) -> None:
    """Report nothing."""
