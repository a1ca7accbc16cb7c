"""Steps of the commit protocol, and the listeners that are called at each of them; fault tests stop a process there."""

from collections.abc import Callable
from enum import StrEnum


class Step(StrEnum):
    """Points between the first look at a unit and the last byte of the night's candidates."""

    LOOK = "look"
    """A worker is about to ask the store whether a unit is committed."""
    OPENED = "opened"
    """A unit is open, and its pixels are being read."""
    SCORED = "scored"
    """All rows of a unit have scores or rejections."""
    ENCODED = "encoded"
    """A unit is encoded as the bytes of its file."""
    CHECKED = "checked"
    """The encoded unit was read back and compared."""
    CREATE = "create"
    """A file is about to be created, in any store."""
    SYNC = "sync"
    """The content of a new file is about to be synced to disk."""
    LINK = "link"
    """A new file is about to get its name, on a disk."""
    LINKED = "linked"
    """A new file has its name, on a disk; its folder is not synced yet."""
    CREATED = "created"
    """A file was created, or was there already."""
    REPLACE = "replace"
    """A file is about to be written over the one with its name, in any store."""
    REPLACED = "replaced"
    """A file was written over the one with its name."""


Listener = Callable[[Step, str], object]
"""Function that gets a step and its subject: the id of a unit; for a new file its URI or, on a disk, its path."""

_listeners: list[Listener] = []


def reached(step: Step, subject: str) -> None:
    """Call every listener; without listeners, do nothing."""
    for listener in _listeners:
        listener(step, subject)


def listen(listener: Listener) -> None:
    """Call a listener at every step of this process from now on."""
    _listeners.append(listener)


def stop_listening(listener: Listener) -> None:
    """Call a listener no more."""
    _listeners.remove(listener)
