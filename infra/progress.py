"""The callbacks to which long work reports its progress."""

from collections.abc import Callable, Sequence
from typing import Protocol

Progress = Callable[[int, int], None]
"""Callback that gets the number of items done and the number of all items; each user says what an item is."""


class NamingProgress(Protocol):
    """A `Progress` that may also get the names of what is worked on."""

    def __call__(self, done: int, total: int, at_work: Sequence[str] = (), /) -> None: ...


def part_of(progress: Progress, before: int, total: int) -> Progress:
    """Return a callback for one part of the work, before which some items of the total were done."""
    return lambda done, _: progress(before + done, total)


def no_progress(_done: int, _total: int, _at_work: Sequence[str] = (), /) -> None:
    """Report nothing."""
