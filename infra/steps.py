"""Steps of the commit protocol that a listener is told about; tests listen, to kill or stop a process right there."""

from collections.abc import Callable
from enum import StrEnum


class Step(StrEnum):
    """Points between the first look at a unit and the last byte of its file."""

    LOOK = "before_skip_check"
    """Before a worker asks the store whether a unit is committed."""
    OPENED = "after_open"
    SCORED = "after_scoring"
    ENCODED = "after_encoding"
    CHECKED = "after_self_check"
    """After a worker has read the encoded unit back and compared it."""
    CREATE = "before"
    """Before a file is created, in any store."""
    SYNC = "before_sync"
    """Before the content of a new file is synced to disk."""
    LINK = "before_link"
    """Before a new file gets its name, on a POSIX file system."""
    LINKED = "after_link"
    CREATED = "after"


Listener = Callable[[Step, str], object]
"""Function that gets a step and its subject: the id of a unit or, for a new file, its URI."""

_listeners: list[Listener] = []


def reached(step: Step, subject: str) -> None:
    """Tell the listeners that this thread has reached a step; without listeners, do nothing."""
    for listener in _listeners:
        listener(step, subject)


def listen(listener: Listener) -> None:
    """Tell a listener about every step of this process from now on."""
    _listeners.append(listener)


def stop_listening(listener: Listener) -> None:
    """Tell a listener about no further step."""
    _listeners.remove(listener)
