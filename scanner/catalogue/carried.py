"""Columns of the tiles' catalogues that unit files and candidates carry as `cat_<name>`."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import field_validator

from infra.frozen import Frozen
from scanner.catalogue.columns import CARRIED_PREFIX, carried_column, carried_fields
from scanner.catalogue.units import PlanError

_UNIT = b"unit"
_WIDER = {"int8": "int16", "uint16": "int32", "uint32": "int64", "uint64": "double"}
"""Types that VOTable lacks, with those that hold their values."""


class CarriedColumn(Frozen):
    """A column as all unit files of a plan have it."""

    name: str
    """Name in the tiles' catalogues, in lower case."""
    type: str
    """Arrow type, such as `float` or `int64`."""
    unit: str = ""

    @field_validator("type")
    @classmethod
    def _is_an_arrow_type(cls, value: str) -> str:
        pa.type_for_alias(value)
        return value

    @property
    def field(self) -> pa.Field:
        """Return the Arrow field of unit files."""
        return carried_column(self.name, pa.type_for_alias(self.type), self.unit).field()


def planned_columns(names: Sequence[str], schemas: Mapping[str, pa.Schema]) -> tuple[CarriedColumn, ...]:
    """Return those of the named columns that any tile has, in their order, with a type that holds the values of every tile.

    Args:
        names: The columns.
        schemas: Columns of the tiles' catalogues, by the tile's id. A column of nulls fits every type.

    Raises:
        PlanError: a column holds numbers in one tile and texts in another.
    """
    columns = []
    for name in dict.fromkeys(names):
        fields = {tile: schema.field(name) for tile, schema in schemas.items() if name in schema.names}
        if fields:
            joined = _joined_field(name, fields)
            kind = str(joined.type)
            columns.append(CarriedColumn(name=name, type=_WIDER.get(kind, kind), unit=_unit(joined)))
    return tuple(columns)


def _joined_field(name: str, fields: Mapping[str, pa.Field]) -> pa.Field:
    """Return a field that holds the values of every tile, of which there is at least one; a text if no tile has a value."""
    tiles: dict[pa.DataType, str] = {}
    for tile, field in fields.items():
        if not pa.types.is_null(field.type):
            tiles.setdefault(field.type, tile)
    if not tiles:
        return next(iter(fields.values())).with_type(pa.string())
    first, *others = tiles.values()
    joined = pa.schema([fields[first]])
    for other in others:
        try:
            joined = pa.unify_schemas([joined, pa.schema([fields[other]])], promote_options="permissive")
        except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
            kinds = " and ".join(f"{fields[tile].type} in tile {tile}" for tile in (first, other))
            raise PlanError(f"--columns: the catalogues of the tiles do not fit together: {name} is {kinds}") from error
    return joined.field(name)


def carried_arrays(
    columns: Sequence[CarriedColumn], table: pa.Table | None, is_filled: pa.Array
) -> dict[str, pa.ChunkedArray | pa.Array]:
    """Return the carried columns of some rows by their names in unit files.

    Args:
        columns: The columns of the plan.
        table: The rows in the tile's catalogue, with the columns that it has; None if it has none of them.
        is_filled: Mask of the rows that get their values; the others get null, or an empty text.
    """
    found = {}
    for column in columns:
        kind = column.field.type
        if table is not None and column.name in table.column_names:
            values = pc.if_else(is_filled, table[column.name].cast(kind, safe=False), pa.scalar(None, kind))
        else:
            values = pa.nulls(len(is_filled), kind)
        # Some readers fail on a null in a text column.
        found[column.field.name] = values.fill_null("") if pa.types.is_string(kind) else values
    return found


def published_columns(schema: pa.Schema) -> tuple[CarriedColumn, ...]:
    """Return the carried columns of a schema as published: each kind of number has one type, so that nights fit."""
    return tuple(
        CarriedColumn(name=field.name.removeprefix(CARRIED_PREFIX), type=_published_type(field.type), unit=_unit(field))
        for field in carried_fields(schema)
    )


def joined_columns(columns: Iterable[CarriedColumn]) -> tuple[CarriedColumn, ...]:
    """Return each column once; its type holds the values of all columns of its name, which are as published."""
    joined: dict[str, CarriedColumn] = {}
    for column in columns:
        known = joined.setdefault(column.name, column)
        if known.type != column.type:
            kind = "string" if "string" in {known.type, column.type} else "double"
            joined[column.name] = known.model_copy(update={"type": kind})
    return tuple(joined.values())


def _published_type(kind: pa.DataType) -> str:
    if pa.types.is_integer(kind):
        return "int64"
    return "double" if pa.types.is_floating(kind) else str(kind)


def near_names(name: str, known: Iterable[str]) -> str:
    """Return a hint at the columns whose names are like a wrong one; empty if there are none."""
    near = get_close_matches(name, list(known), 3)
    return f" (did you mean {' or '.join(near)}?)" if near else ""


def _unit(field: pa.Field) -> str:
    return (field.metadata or {}).get(_UNIT, b"").decode()
