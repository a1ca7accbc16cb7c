"""Columns of a FITS binary table as Arrow arrays: one number, truth or text in each row, with its unit."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scanner.files.fits_hdus import MAX_FIELDS, Hdu

UNIT = "unit"
"""Name of the unit in the metadata of a field."""
_SINGLE = re.compile(r"1?[LBIJKED]|\d*A")


class SourceTableError(ValueError):
    """The file holds no usable table of sources."""


class MissingColumnsError(SourceTableError):
    """The table lacks columns."""

    def __init__(self, missing: Iterable[str], known: Iterable[str]) -> None:
        self.missing, self.known = tuple(missing), tuple(known)
        """Names of the columns that it lacks, and of those that it has, in lower case."""
        super().__init__(f"has no column {', '.join(self.missing)}")


@dataclass(frozen=True)
class FitsColumn:
    """A column that is read."""

    name: str
    """Name in lower case."""
    number: int
    """Number in the header, from 1."""
    form: str
    unit: str
    null: int | None
    """Integer that stands for null."""

    def array(self, values: NDArray[np.generic]) -> pa.Array:
        """Return the values of some rows; numbers that are not finite become null, and texts lose the spaces at their end."""
        if self.form.endswith("A"):
            return pa.array([str(text).rstrip() for text in values.tolist()], pa.string())
        native = values.astype(values.dtype.newbyteorder("="), copy=True)
        if native.dtype.kind == "f":
            return pa.array(native, mask=~np.isfinite(native))
        return pa.array(native) if self.null is None else pa.array(native, mask=native == self.null)

    def field(self, kind: pa.DataType) -> pa.Field:
        """Return the field of its arrays, with its unit."""
        return pa.field(self.name, kind, metadata={UNIT: self.unit} if self.unit else None)


def column_numbers(hdu: Hdu) -> dict[str, int]:
    """Return the number of each column, counted from 1, by its name in upper case; nothing if the HDU is no table."""
    if str(hdu.header.get("XTENSION", "")).strip() != "BINTABLE" or hdu.is_compressed:
        return {}
    numbers = range(1, min(int(hdu.header["TFIELDS"]), MAX_FIELDS) + 1)
    return {str(hdu.header.get(f"TTYPE{i}", "")).strip().upper(): i for i in numbers}


def fits_columns(hdu: Hdu, needed: Iterable[str], wanted: Iterable[str]) -> list[FitsColumn]:
    """Return the needed columns, and those of the wanted ones that hold one number, truth or text in each row.

    Names are in any case.

    Raises:
        MissingColumnsError: a needed column is not there.
        SourceTableError: a needed column holds several values in a row, or values of another type.
    """
    numbers = {name.lower(): number for name, number in column_numbers(hdu).items()}
    names = dict.fromkeys(name.lower() for name in needed)
    if missing := [name for name in names if name not in numbers]:
        raise MissingColumnsError(missing, numbers)
    for name in names:
        if not _SINGLE.fullmatch(form := _form(hdu, numbers[name])):
            raise SourceTableError(f"column {name} must hold one number or text in each row, has TFORM = {form!r}")
    there = [name.lower() for name in wanted if name.lower() in numbers]
    names |= dict.fromkeys(name for name in there if _SINGLE.fullmatch(_form(hdu, numbers[name])))
    return [_column(hdu, name, numbers[name]) for name in names]


def _form(hdu: Hdu, number: int) -> str:
    return str(hdu.header.get(f"TFORM{number}", "")).strip().upper()


def _column(hdu: Hdu, name: str, number: int) -> FitsColumn:
    header = hdu.header
    form = _form(hdu, number)
    is_scaled = f"TSCAL{number}" in header or f"TZERO{number}" in header
    null = None if is_scaled or form[-1] not in "BIJK" else header.get(f"TNULL{number}")
    return FitsColumn(name, number, form, str(header.get(f"TUNIT{number}", "")).strip(), null)
