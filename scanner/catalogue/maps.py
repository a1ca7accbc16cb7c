"""Put maps into tables, check that the best candidates have them, and convert them for the catalogue."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from infra.errors import LensscanError
from infra.provenance import sha256_bytes
from scanner.catalogue.column import MapColumn
from scanner.catalogue.columns import has_maps
from scanner.catalogue.map_columns import EXPLANATION_COLUMNS, MAP_COLUMNS
from scanner.catalogue.outcomes import candidate_mask
from scanner.catalogue.photometry_columns import PHOTOMETRY_COLUMNS
from scanner.catalogue.plan import ScanConfig

_SHARES = frozenset(f"attribution_{part}" for part in ("core", "arc", "vis", "y", "j", "h"))


class MapError(LensscanError):
    """The maps of a table are not those that its plan requires."""


def map_arrays(n_rows: int, rows: NDArray[np.int64], values: Mapping[str, NDArray[np.generic]]) -> dict[str, pa.Array]:
    """Return the columns of maps for a table of `n_rows` rows, null except in the rows at `rows`.

    Args:
        n_rows: Number of rows of the table.
        rows: `[n]`, row numbers of the rows with maps.
        values: `[n]` for each of EXPLANATION_COLUMNS, NaN for null, and `[n, ...]` for each of MAP_COLUMNS; may be empty if
            `rows` is.
    """
    if not len(rows):
        return {column.name: pa.nulls(n_rows, column.type) for column in (*EXPLANATION_COLUMNS, *MAP_COLUMNS)}
    order = np.argsort(rows)
    has_map = np.zeros(n_rows, bool)
    has_map[rows] = True
    columns = {}
    for column in EXPLANATION_COLUMNS:
        numbers = np.full(n_rows, np.nan, np.float32)
        numbers[rows] = values[column.name]
        columns[column.name] = pa.array(numbers, column.type, mask=np.isnan(numbers))
    for column in MAP_COLUMNS:
        ends = np.concatenate([[0], np.cumsum(has_map * column.n_values)]).astype(np.int32)
        flat = pa.array(values[column.name][order].reshape(-1), column.type.value_type)
        columns[column.name] = pa.ListArray.from_arrays(pa.array(ends), flat, mask=pa.array(~has_map))
    return columns


def check_maps(table: pa.Table, config: ScanConfig) -> None:
    """Check that exactly the best `maps_per_unit` candidates of a unit have maps, and that only candidates have photometry.

    Raises:
        MapError: a map is missing, is extra, or has impossible values.
    """
    if has_maps(table.schema) != bool(config.maps_per_unit):
        raise MapError(f"the plan asks for maps of {config.maps_per_unit} candidates, the table's columns do not match")
    if not config.maps_per_unit:
        return
    is_candidate = candidate_mask(table, config.candidate_threshold).to_numpy()
    has_map = table[MAP_COLUMNS[0].name].is_valid().to_numpy()
    n_expected = min(int(is_candidate.sum()), config.maps_per_unit)
    if has_map.sum() != n_expected or np.any(has_map & ~is_candidate):
        raise MapError(f"the best {n_expected} candidates must have maps, {has_map.sum()} rows have them")
    p_lens = table["p_lens"].to_numpy()
    if n_expected and np.any(p_lens[is_candidate & ~has_map] > p_lens[has_map].min()):
        raise MapError("a candidate without maps is better than one with maps")
    # A table of an earlier version lacks the pixels of the bands.
    for column in (column for column in MAP_COLUMNS if column.name in table.column_names):
        _check_pixels(table[column.name], column, has_map)
    for name in (column.name for column in EXPLANATION_COLUMNS if column.name in table.column_names):
        _check_numbers(name, table[name], has_map)
    _check_photometry(table, is_candidate)


def _check_photometry(table: pa.Table, is_candidate: NDArray[np.bool_]) -> None:
    for name in (column.name for column in PHOTOMETRY_COLUMNS if column.name in table.column_names):
        if np.any(table[name].is_valid().to_numpy() & ~is_candidate):
            raise MapError(f"{name}: must be null in rows that are no candidates")


def _check_numbers(name: str, values: pa.ChunkedArray, has_map: NDArray[np.bool_]) -> None:
    is_there = values.is_valid().to_numpy()
    if np.any(is_there & ~has_map):
        raise MapError(f"{name}: must be null where there are no maps")
    if name.startswith("occlusion_") and np.any(has_map & ~is_there):
        raise MapError(f"{name}: must not be null where there are maps")
    if name in _SHARES and not pc.all(pc.and_(pc.greater_equal(values, 0), pc.less_equal(values, 1)), min_count=0).as_py():
        raise MapError(f"{name}: a share must lie in 0-1, got {pc.min_max(values)}")


def _check_pixels(values: pa.ChunkedArray, column: MapColumn, has_map: NDArray[np.bool_]) -> None:
    if not np.array_equal(values.is_valid().to_numpy(), has_map):
        raise MapError(f"{column.name}: must be null exactly where {MAP_COLUMNS[0].name} is")
    if lengths := set(pc.list_value_length(values).drop_null().to_pylist()) - {column.n_values}:
        raise MapError(f"{column.name}: must have {column.n_values} values, got {sorted(lengths)}")
    if pc.list_flatten(values).null_count:
        raise MapError(f"{column.name}: must have no nulls among its values")


def with_maps_as(size: Literal["fixed", "large"], table: pa.Table) -> pa.Table:
    """Store maps in fixed-size lists, which take as much memory for null, or in large lists, which allow longer arrays."""
    for column in MAP_COLUMNS:
        if column.name in table.column_names:
            i = table.column_names.index(column.name)
            kind = column.fixed if size == "fixed" else pa.large_list(column.type.value_type)
            table = table.set_column(i, column.field(kind), table[column.name].cast(kind))
    return table


def with_map_digests(table: pa.Table) -> pa.Table:
    """Replace each map by its SHA-256: rows become small, and are equal exactly if they were before."""
    for column in MAP_COLUMNS:
        if column.name in table.column_names:
            i = table.column_names.index(column.name)
            table = table.set_column(i, pa.field(column.name, pa.string()), _digests(table[column.name]))
    return table


def _digests(maps: pa.ChunkedArray) -> pa.Array:
    digests = [sha256_bytes(one.values.to_numpy(zero_copy_only=False).tobytes()) if one.is_valid else None for one in maps]
    return pa.array(digests, pa.string())
