"""Sources of a tile as its catalogue lists them, whatever the format of the file."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

MAX_SOURCES = 2**22
"""Largest number of sources in a table; a MER tile has about 200 000."""


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
