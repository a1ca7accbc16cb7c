"""Reasons why a row of a tile was not looked at: a closed list of names, beside the codes of rejected rows."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

SKIPPED_PREFIX = "skipped:"
"""Beginning of the status of every row that was not looked at."""


class SkipCode(StrEnum):
    """Every reason why an input row was left out before its pixels were read; the note of each code states the reason."""

    SELECTION = "selection"
    """The scan selects sources by a condition, an area or a list of targets, and the row is not among them."""

    @property
    def status(self) -> str:
        """Value of the catalogue's `status` column."""
        return f"{SKIPPED_PREFIX}{self}"


SKIP_ADVICE: Mapping[SkipCode, str] = MappingProxyType(
    {SkipCode.SELECTION: "Nothing; to score the object too, scan its tile with a wider `--where` or `--moc` or no `--targets`."}
)
"""Advice to the user for each code."""
