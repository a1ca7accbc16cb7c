"""Sources of a tile as its catalogue lists them, whatever the format of the file."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

MAX_SOURCES = 2**22
"""Largest number of sources in a table; a MER tile has about 200 000."""
_UNIT_NAMES = {"deg": ("degrees", "degree", "deg"), "rad": ("radians", "radian", "rad")}
"""Names of units in lower case; the first one is for messages."""


class SourceColumns(NamedTuple):
    """Names of columns, in any case."""

    id: str | None
    ra: str
    dec: str

    def names(self) -> tuple[str, ...]:
        """Return the names in upper case, that of the ids first if there are ids."""
        return tuple(name.upper() for name in self if name is not None)


@dataclass(frozen=True)
class SourceTable:
    """Sources of a table, `[n]` each, in its order."""

    ids: NDArray[np.int64] | None
    """None if the table has no ids."""
    ra: NDArray[np.float64]
    """Right ascensions."""
    dec: NDArray[np.float64]
    others: pa.Table
    """The chosen columns that the table has, by their names in lower case, with their units in the fields' metadata."""
    known: tuple[str, ...] = ()
    """Names of all columns, in lower case."""
    units: tuple[str, str] = ("", "")
    """Units of right ascensions and declinations as the table has them; empty where it has none."""


def wrong_unit(name: str, unit: str, needed: Literal["deg", "rad"] = "deg") -> str | None:
    """Return a sentence about the unit of a column of positions that is not the needed one; None if it is, or is empty."""
    names = _UNIT_NAMES[needed]
    return None if unit.strip().lower() in ("", *names) else f"column {name} has the unit {unit.strip()}; {names[0]} are needed"
