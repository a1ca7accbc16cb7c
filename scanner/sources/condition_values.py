"""Arithmetic, comparisons and logic of conditions on Arrow arrays: whatever has no value is null."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scanner.sources.condition_words import ConditionError

Kind = Literal["number", "text", "truth", "null"]
_WORDS = {"number": "a number", "text": "a text", "truth": "a condition", "null": "null"}


@dataclass(frozen=True)
class Value:
    """A column, a number, a text, or a result: an Arrow array or scalar."""

    kind: Kind
    data: Any
    is_literal: bool = False
    is_empty: bool = False
    """Whether it is a column without any value, which fits numbers and texts."""

    def __str__(self) -> str:
        return _WORDS[self.kind]


def literal(value: float | str | bool | None) -> Value:
    """Return a value that stands in the condition itself."""
    if value is None or isinstance(value, bool):
        return Value("null" if value is None else "truth", pa.scalar(value, pa.bool_()), is_literal=True)
    if isinstance(value, str):
        return Value("text", pa.scalar(value, pa.string()), is_literal=True)
    return Value("number", pa.scalar(value, pa.int64() if isinstance(value, int) else pa.float64()), is_literal=True)


def column_value(column: pa.ChunkedArray) -> Value:
    """Return a column; numbers that are not finite become null, and integers get 64 bits."""
    kind = column.type
    if pa.types.is_boolean(kind):
        return Value("truth", column)
    if pa.types.is_floating(kind):
        return Value("number", _finite(column))
    if pa.types.is_integer(kind):
        return Value("number", column.cast(pa.float64() if pa.types.is_uint64(kind) else pa.int64(), safe=False))
    if pa.types.is_null(kind):
        return Value("number", column.cast(pa.int64()), is_empty=True)
    return Value("text", column.cast(pa.string()))


def _finite(numbers: Any) -> Any:
    return pc.if_else(pc.is_finite(numbers), numbers, pa.scalar(None, numbers.type))


def _magnitude(flux_ujy: Any) -> Any:
    return pc.subtract(pa.scalar(23.9, flux_ujy.type), pc.multiply(pa.scalar(2.5, flux_ujy.type), pc.log10(flux_ujy)))


FUNCTIONS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {"abs": pc.abs, "sqrt": pc.sqrt, "ln": pc.ln, "log10": pc.log10, "mag": _magnitude}
)
"""Functions of one number; `mag` is the AB magnitude of a flux in microjansky."""
_ARITHMETIC = {"+": pc.add, "-": pc.subtract, "*": pc.multiply, "/": pc.divide}
_COMPARISONS = {
    "=": pc.equal,
    "<>": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}


def call(name: str, value: Value) -> Value:
    """Return a function of a number; null where it has no finite value, such as the logarithm of 0."""
    _check(value, "number", f"{name}()")
    return Value("number", _finite(FUNCTIONS[name](_floating(value.data))), value.is_literal)


def arithmetic(symbol: str, left: Value, right: Value) -> Value:
    """Return `left symbol right` in floating point, or of integers for `&`; null where it has no finite value."""
    for value in (left, right):
        _check(value, "number", symbol)
    one, other = _alike(left, right)
    is_literal = left.is_literal and right.is_literal
    if symbol == "&":
        if not (pa.types.is_integer(one.type) and pa.types.is_integer(other.type)):
            raise ConditionError("& needs two integers")
        return Value("number", pc.bit_wise_and(one, other), is_literal)
    with np.errstate(all="ignore"):
        return Value("number", _finite(_ARITHMETIC[symbol](_floating(one), _floating(other))), is_literal)


def comparison(symbol: str, left: Value, right: Value) -> Value:
    """Return whether `left symbol right`; null where one of them is."""
    if "null" in {left.kind, right.kind}:
        raise ConditionError(f"nothing compares with null by {symbol}; write `is null` or `is not null`")
    left, right = _of_kind(left, right.kind), _of_kind(right, left.kind)
    if left.kind != right.kind:
        raise ConditionError(f"{symbol} compares two numbers or two texts, got {left} and {right}")
    return Value("truth", _COMPARISONS[symbol](*_alike(left, right)))


def _of_kind(value: Value, kind: Kind) -> Value:
    """Return a column without values as texts if it is compared with one; another value as it is."""
    if value.is_empty and kind == "text":
        return Value("text", pa.array([""] * len(value.data), pa.string()))
    return value


def is_null(value: Value) -> Value:
    """Return where a value is null, or an empty text: a CSV column without any value has no type."""
    # Kleene's `or` of true and null is true.
    is_missing = pc.is_null(value.data)
    return Value("truth", pc.or_kleene(is_missing, pc.equal(value.data, "")) if value.kind == "text" else is_missing)


def negated(value: Value) -> Value:
    """Return the opposite of a truth; null where it is null."""
    _check(value, "truth", "not")
    return Value("truth", pc.invert(value.data))


def joined(symbol: str, left: Value, right: Value) -> Value:
    """Join two truths by `and` or `or` as SQL does: `false and null` is false, `true or null` is true."""
    for value in (left, right):
        _check(value, "truth", symbol)
    return Value("truth", (pc.and_kleene if symbol == "and" else pc.or_kleene)(left.data, right.data))


def _check(value: Value, kind: Kind, user: str) -> None:
    if value.kind != kind:
        raise ConditionError(f"{user} needs {_WORDS[kind]}, got {value}")


def _floating(data: Any) -> Any:
    return data if pa.types.is_floating(data.type) else data.cast(pa.float64())


def _alike(left: Value, right: Value) -> tuple[Any, Any]:
    """Return both operands; a number of the condition gets the precision of a float32 column, as in numpy."""
    one, other = left.data, right.data
    if left.is_literal and other.type == pa.float32():
        one = one.cast(pa.float32(), safe=False)
    if right.is_literal and one.type == pa.float32():
        other = other.cast(pa.float32(), safe=False)
    return one, other
