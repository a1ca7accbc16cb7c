"""Maps in tables: with which rows they are, and what they become on their way into the catalogue."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from infra.errors import LensscanError
from infra.provenance import sha256_bytes
from scanner.catalogue.columns import EXPLANATION_COLUMNS, MAP_COLUMNS, MapColumn, has_maps
from scanner.catalogue.outcomes import candidate_mask
from scanner.catalogue.plan import ScanConfig


class MapError(LensscanError):
    """A table whose maps are not those that its plan asks for."""


def map_arrays(n_rows: int, places: NDArray[np.int64], values: Mapping[str, NDArray[np.generic]]) -> dict[str, pa.Array]:
    """Columns of a table of `n_rows` rows, null but at some places.

    Args:
        n_rows: Of the table.
        places: `[n]`, of the rows with maps.
        values: Of each of EXPLANATION_COLUMNS `[n]`, NaN where there is nothing to say, and of each of MAP_COLUMNS `[n, ...]`;
            none where there are no places.
    """
    if not len(places):
        return {column.name: pa.nulls(n_rows, column.type) for column in (*EXPLANATION_COLUMNS, *MAP_COLUMNS)}
    order = np.argsort(places)
    has_map = np.zeros(n_rows, bool)
    has_map[places] = True
    columns = {}
    for column in EXPLANATION_COLUMNS:
        numbers = np.full(n_rows, np.nan, np.float32)
        numbers[places] = values[column.name]
        columns[column.name] = pa.array(numbers, column.type, mask=np.isnan(numbers))
    for column in MAP_COLUMNS:
        ends = np.concatenate([[0], np.cumsum(has_map * column.n_values)]).astype(np.int32)
        flat = pa.array(values[column.name][order].reshape(-1), column.type.value_type)
        columns[column.name] = pa.ListArray.from_arrays(pa.array(ends), flat, mask=pa.array(~has_map))
    return columns


def check_maps(table: pa.Table, config: ScanConfig) -> None:
    """Have the best candidates of a unit their maps, and no other row any?

    Raises:
        MapError: they have not.
    """
    if has_maps(table.schema) != bool(config.maps_per_unit):
        raise MapError(f"maps of {config.maps_per_unit} candidates are asked for, its columns say otherwise")
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
    for column in MAP_COLUMNS:
        _check_lengths(table[column.name], column, has_map)
    for name in (column.name for column in EXPLANATION_COLUMNS):
        if np.any(table[name].is_valid().to_numpy() & ~has_map):
            raise MapError(f"{name}: must be null where there are no maps")


def _check_lengths(values: pa.ChunkedArray, column: MapColumn, has_map: NDArray[np.bool_]) -> None:
    if not np.array_equal(values.is_valid().to_numpy(), has_map):
        raise MapError(f"{column.name}: must be there where {MAP_COLUMNS[0].name} is")
    if lengths := set(pc.list_value_length(values).drop_null().to_pylist()) - {column.n_values}:
        raise MapError(f"{column.name}: must have {column.n_values} values, got {sorted(lengths)}")


def with_fixed_maps(table: pa.Table) -> pa.Table:
    """The lists of a unit as those of fixed size that the candidate catalogue has."""
    for column in MAP_COLUMNS:
        if column.name in table.column_names:
            place = table.column_names.index(column.name)
            table = table.set_column(place, column.field(column.fixed), table[column.name].cast(column.fixed))
    return table


def with_map_digests(table: pa.Table) -> pa.Table:
    """Each map of a row replaced by its SHA-256: rows are equal exactly when they were, and small."""
    for column in MAP_COLUMNS:
        if column.name in table.column_names:
            place = table.column_names.index(column.name)
            table = table.set_column(place, pa.field(column.name, pa.string()), _digests(table[column.name]))
    return table


def _digests(maps: pa.ChunkedArray) -> pa.Array:
    return pa.array([sha256_bytes(one.values.to_numpy().tobytes()) if one.is_valid else None for one in maps], pa.string())
