"""A column of the catalogue, with what readers are told about it."""

import math
from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True)
class Column:
    """A column, its VOUnit string (empty for a column without unit) and its UCD1+ words."""

    name: str
    type: pa.DataType
    unit: str
    ucd: str
    description: str
    nullable: bool = True

    def field(self, kind: pa.DataType | None = None) -> pa.Field:
        """Return the Arrow field, with unit, ucd and description as its metadata."""
        metadata = {"unit": self.unit, "ucd": self.ucd, "description": self.description}
        return pa.field(self.name, kind or self.type, self.nullable, metadata)


@dataclass(frozen=True)
class MapColumn(Column):
    """Pixels of a candidate in the order of `shape`, whose last axis is x or the colour; the first row is the southernmost."""

    shape: tuple[int, ...] = ()

    @property
    def n_values(self) -> int:
        return math.prod(self.shape)

    @property
    def fixed(self) -> pa.DataType:
        """Return the fixed-size list type of the candidate catalogue.

        Few rows of a unit file have maps, so unit files use lists of any size: these take no memory in rows without maps.
        """
        return pa.list_(self.type.value_type, self.n_values)
