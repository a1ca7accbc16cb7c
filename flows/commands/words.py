"""Numbers with their nouns, and lists of names, as commands say them; the module imports no library that takes time."""

from collections.abc import Sequence

MOST_NAMED = 10
"""Largest number of tiles that are named."""


def counted(n: int, one: str, many: str = "") -> str:
    """Return a number with its noun: `1 tile`, `2 tiles`."""
    return f"{n:,} {one if n == 1 else many or f'{one}s'}"


def named(names: Sequence[str]) -> str:
    """Return names separated by commas, and the number of those that are not named."""
    rest = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def left_out(tiles: Sequence[str]) -> str:
    """Say which tiles a scan leaves out."""
    return f"{counted(len(tiles), 'tile')} with a catalogue and no mosaic: {named(tiles)}"
