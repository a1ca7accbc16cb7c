"""The callback with which long work reports its progress."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""A function that is called with the number of steps done and the number of all steps."""


def no_progress(_done: int, _total: int) -> None:
    """Report nothing."""
