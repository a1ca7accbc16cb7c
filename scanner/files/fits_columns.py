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
_UNSIGNED = {"I": 2**15, "J": 2**31, "K": 2**63}
"""TZERO of unsigned integers by the letter of TFORM."""
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
    nulls: tuple[float, ...]
    """Numbers that stand for null."""

    def array(self, values: NDArray[np.generic]) -> pa.Array:
        """Return the values of some rows; numbers that are not finite become null, and texts lose the spaces at their end."""
        if self.form.endswith("A"):
            return pa.array([str(text).rstrip() for text in values.tolist()], pa.string())
        native = values.astype(values.dtype.newbyteorder("="), copy=True)
        # A column of integers with TSCAL holds floats.
        is_null = ~np.isfinite(native) if native.dtype.kind == "f" else np.zeros(len(native), bool)
        for null in self.nulls:
            is_null |= native == null
        return pa.array(native, mask=is_null)

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


def null_values(hdu: Hdu, number: int) -> tuple[float, ...]:
    """Return the numbers that stand for null in a column, counted from 1; none unless it holds integers.

    By the standard (FITS 4.0, section 7.3.2), TNULL is the stored integer, before TSCAL and TZERO; astropy writes and reads it
    as the value of the row. The header does not tell which is meant, so both are null: a null must not be read as a number.
    """
    null = hdu.header.get(f"TNULL{number}")
    if _form(hdu, number)[-1:] not in tuple("BIJK") or not isinstance(null, int):
        return ()
    scale, zero = scaling(hdu, number)
    return tuple({null, null * scale + zero})


def scaling(hdu: Hdu, number: int) -> tuple[float, float]:
    """Return TSCAL and TZERO of a column, counted from 1; whole ones as integers, because a float loses digits of 64-bit ones.

    Raises:
        SourceTableError: one of them is no number, or astropy cannot read integers that are scaled so.
    """
    scale, zero = _number(hdu, f"TSCAL{number}", 1), _number(hdu, f"TZERO{number}", 0)
    form = _form(hdu, number)[-1:]
    is_unsigned = zero == _UNSIGNED.get(form)
    if (is_unsigned and scale != 1) or (form == "K" and zero != 0 and not is_unsigned):
        such = f"TFORM{number} = {form!r}, TSCAL{number} = {scale} and TZERO{number} = {zero}"
        allowed = "TSCAL of unsigned integers must be 1, TZERO of 64-bit integers 0 or 2^63"
        raise SourceTableError(f"cannot read a column with {such}: {allowed}")
    return scale, zero


def _number(hdu: Hdu, key: str, default: int) -> float:
    value = hdu.header.get(key, default)
    if not isinstance(value, int | float):
        raise SourceTableError(f"{key} must be a number, got {str(value)[:40]!r}")
    return int(value) if abs(value) <= 2**63 and float(value).is_integer() else value


def _form(hdu: Hdu, number: int) -> str:
    return str(hdu.header.get(f"TFORM{number}", "")).strip().upper()


def _column(hdu: Hdu, name: str, number: int) -> FitsColumn:
    unit = str(hdu.header.get(f"TUNIT{number}", "")).strip()
    return FitsColumn(name, number, _form(hdu, number), unit, null_values(hdu, number))
