"""Rows of a table as a caller in Python gets them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from astropy.table import Table


@dataclass(frozen=True, eq=False, repr=False)
class Rows:
    """Rows of a table: iterate over them as dicts, or take the whole table to Arrow, pandas or astropy."""

    _table: pa.Table

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self._table.column_names)

    def to_arrow(self) -> pa.Table:
        """Return an Arrow table; the fields' metadata hold unit, UCD and description."""
        return self._table

    def to_pandas(self) -> Any:
        """Return a pandas data frame."""
        return self._table.to_pandas()

    def to_astropy(self) -> "Table":
        """Return an astropy table with units and descriptions; null cells are masked, and maps have the axes `[row, y, x]`."""
        from scanner.catalogue.astropy_table import astropy_table

        return astropy_table(self._table)

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __getitem__(self, which: int | slice) -> Any:
        """Return one row as a dict, or some rows as Rows."""
        if isinstance(which, slice):
            return Rows(self._table.take(pa.array(range(*which.indices(len(self))), pa.int64())))
        return self._table.slice(range(len(self))[which], 1).to_pylist()[0]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._table.to_pylist())

    def __repr__(self) -> str:
        return f"{len(self)} rows of {', '.join(self.columns)}"
