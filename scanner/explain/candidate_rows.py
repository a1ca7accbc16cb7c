"""Rows of candidates from any of the libraries that read the catalogue."""

from collections.abc import Mapping
from typing import Any


def as_mappings(rows: Any) -> list[Mapping[str, Any]]:
    """Return one row or several as mappings of column to value.

    Args:
        rows: A mapping, a pandas series, a row of an Arrow or astropy table; or an Arrow table, a pandas data frame, or
            anything that yields such rows.
    """
    if hasattr(rows, "to_pylist"):  # an Arrow table
        return list(rows.to_pylist())
    if hasattr(rows, "iterrows") and hasattr(rows, "to_dict"):  # a pandas data frame
        return list(rows.to_dict("records"))
    return [_mapping(rows)] if _is_row(rows) else [_mapping(row) for row in rows]


def _is_row(value: Any) -> bool:
    is_astropy_row = hasattr(value, "colnames") and hasattr(value, "index")
    return isinstance(value, Mapping) or hasattr(value, "to_dict") or hasattr(value, "as_py") or is_astropy_row


def _mapping(row: Any) -> Mapping[str, Any]:
    if hasattr(row, "as_py"):  # of Arrow; it is a mapping to Arrow's own scalars
        return dict(row.as_py())
    if isinstance(row, Mapping):
        return row
    if hasattr(row, "to_dict"):  # of pandas
        return dict(row.to_dict())
    return {name: row[name] for name in row.colnames}  # of astropy
