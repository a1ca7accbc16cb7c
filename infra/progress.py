"""The callback to which long work reports its progress."""

from collections.abc import Sequence
from typing import Protocol


class Progress(Protocol):
    """Callback that gets the number of items done, the number of all items, and names of what is worked on, if it has names.

    Each user says what an item is.
    """

    def __call__(self, done: int, total: int, at_work: Sequence[str] = (), /) -> None: ...


def no_progress(_done: int, _total: int, _at_work: Sequence[str] = (), /) -> None:
    """Report nothing."""
