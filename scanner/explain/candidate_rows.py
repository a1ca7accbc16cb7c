"""Rows of candidates from any of the libraries that read the catalogue."""

from collections.abc import Mapping
from typing import Any

from scanner.explain.figure_files import FigureError


def as_mappings(rows: Any) -> list[Mapping[str, Any]]:
    """Return one row or several as mappings of column to value.

    Args:
        rows: A mapping, a pandas series, a row of an Arrow or astropy table; or an Arrow table, a pandas data frame, or
            anything that yields such rows.

    Raises:
        FigureError: it is none of these.
    """
    if hasattr(rows, "to_pylist"):  # an Arrow table
        return [_mapping(row) for row in rows.to_pylist()]
    if hasattr(rows, "iterrows") and hasattr(rows, "to_dict"):  # a pandas data frame
        return list(rows.to_dict("records"))
    return [_mapping(rows)] if _is_row(rows) or not _is_iterable(rows) else [_mapping(row) for row in rows]


def _is_row(value: Any) -> bool:
    is_astropy_row = hasattr(value, "colnames") and hasattr(value, "index")
    return isinstance(value, Mapping) or hasattr(value, "to_dict") or hasattr(value, "as_py") or is_astropy_row


def _is_iterable(value: Any) -> bool:
    # An astropy table can be iterated over, and lacks `__iter__`.
    return hasattr(value, "__iter__") or hasattr(value, "colnames")


def _mapping(row: Any) -> Mapping[str, Any]:
    found = row
    if hasattr(row, "as_py"):  # of Arrow; it is a mapping to Arrow's own scalars
        found = row.as_py()
    elif hasattr(row, "to_dict"):  # of pandas
        found = row.to_dict()
    elif hasattr(row, "colnames"):  # of astropy
        found = {name: row[name] for name in row.colnames}
    if not isinstance(found, Mapping):
        raise FigureError(
            f"rows must be a candidate, or a table or list of candidates, got {type(row).__name__} {str(row)[:60]!r}"
        )
    return found
