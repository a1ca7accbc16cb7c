"""Turn rows of the catalogue into an astropy table, with units, UCDs and descriptions."""

import math
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from astropy.table import Column, MaskedColumn, Table
from numpy.typing import NDArray

from scanner.catalogue.columns import EMBEDDING, candidate_schema
from scanner.catalogue.map_columns import MAP_COLUMNS

_SHAPES = {column.name: column.shape for column in (*MAP_COLUMNS, EMBEDDING)}


def described(table: pa.Table, networks: Sequence[str] = ()) -> pa.Table:
    """Return a table whose columns of the catalogue carry their unit, UCD and description, which SQL drops.

    Args:
        table: Rows of the catalogue; columns with other names stay as they are.
        networks: Networks whose columns are described too.
    """
    known = {field.name: field.metadata for field in candidate_schema(networks, maps=True, embeddings=True)}
    fields = [field.with_metadata(field.metadata or known.get(field.name)) for field in table.schema]
    return table.cast(pa.schema(fields, table.schema.metadata))


def astropy_table(table: pa.Table) -> Table:
    """Return an astropy table of the same rows and columns.

    Null cells are masked, maps have the axes `[row, y, x]` (the colour picture `[row, y, x, colour]`), and values that are no
    numbers become text. `unit` and `description` of the fields' metadata become those of the columns, and `ucd` goes into
    their meta, where the VOTable writer looks for it.
    """
    return Table([_column(field, column) for field, column in zip(table.schema, table.columns, strict=True)])


def _column(field: pa.Field, cells: pa.ChunkedArray) -> Column:
    about = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
    is_null = cells.is_null().to_numpy()
    values = _values(field, cells, is_null)
    meta = {"ucd": about["ucd"]} if about.get("ucd") else {}
    described_as = {
        "name": field.name,
        "unit": about.get("unit") or None,
        "description": about.get("description"),
        "meta": meta,
    }
    if not is_null.any():
        return Column(values, **described_as)
    mask = np.broadcast_to(is_null.reshape(-1, *(1,) * (values.ndim - 1)), values.shape)
    return MaskedColumn(values, mask=mask, **described_as)


def _values(field: pa.Field, cells: pa.ChunkedArray, is_null: NDArray[np.bool_]) -> NDArray[np.generic]:
    kind = field.type
    if field.name in _SHAPES and pa.types.is_nested(kind):
        shape = _SHAPES[field.name]
        pixels = np.zeros((len(cells), math.prod(shape)), kind.value_type.to_pandas_dtype())
        pixels[~is_null] = (
            cells.drop_null().combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(-1, pixels.shape[1])
        )
        return pixels.reshape(-1, *shape)
    if pa.types.is_decimal(kind):
        kind = pa.float64()
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        return np.asarray(cells.cast(kind).fill_null(False if pa.types.is_boolean(kind) else 0).to_numpy())
    return np.array(["" if cell is None else str(cell) for cell in cells.to_pylist()], dtype=str)
