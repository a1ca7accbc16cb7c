"""Conditions on the columns of a table of sources, such as `flux_vis_psf > 1.5 and spurious_flag = 0`.

The grammar is a small part of SQL: comparisons, `between`, `in`, `is null`, `and`, `or`, `not`, arithmetic, `&` of integers,
and the functions `abs`, `sqrt`, `ln`, `log10` and `mag`. It is an own one and not DuckDB's, because DuckDB takes NaN for the
largest number, fails on the logarithm of a negative one, and would have to be kept from reading files.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scanner.sources.condition_values import (
    FUNCTIONS,
    Value,
    arithmetic,
    call,
    column_value,
    comparison,
    is_null,
    joined,
    literal,
    negated,
)
from scanner.sources.condition_words import ConditionError, Word, spelled, words_of

MAX_DEPTH = 40
"""Deepest nesting of parentheses, functions and signs."""
_COMPARISONS = ("=", "<>", "<=", ">=", "<", ">")
_ADDED, _MULTIPLIED = ("+", "-", "&"), ("*", "/")

_Node = Callable[[Mapping[str, Value]], Value]
"""A part of a condition: it returns its value for columns by name."""


class Condition:
    """A condition; `text` is the same for all spellings that differ in case and spaces only."""

    def __init__(self, text: str) -> None:
        """Parse a condition.

        Raises:
            ConditionError: the text is no condition.
        """
        words = words_of(text)
        parser = _Parser(words)
        self._node = parser.whole()
        self.text = spelled(words)
        self.columns = tuple(dict.fromkeys(parser.columns))
        """Names of the columns that it reads, in lower case."""

    def mask(self, table: pa.Table) -> NDArray[np.bool_]:
        """Return which rows of a table meet the condition, `[n]`; rows where it is null do not.

        Args:
            table: Table with the columns of the condition, by their names in lower case.

        Raises:
            ConditionError: a part of the condition does not fit the types of the columns, or the whole is not true or false.
        """
        value = self._node({name: column_value(table[name]) for name in self.columns})
        if value.kind != "truth":
            raise ConditionError(f"must be true or false for each source, such as flux > 1.5, got {value}: {self.text}")
        if isinstance(value.data, pa.Scalar):
            return np.full(table.num_rows, bool(value.data.as_py()))
        return np.asarray(value.data.fill_null(False).to_numpy(), np.bool_)  # noqa: FBT003


class _Parser:
    """Parser by recursive descent, from `or`, which binds least, to numbers and names."""

    def __init__(self, words: Sequence[Word]) -> None:
        self._words, self._at, self._depth = words, 0, 0
        self.columns: list[str] = []

    def whole(self) -> _Node:
        if len(self._words) == 1:
            raise ConditionError("is empty; write a condition such as flux_vis_psf > 1.5")
        node = self._any()
        if self._word.kind != "end":
            raise self._unexpected()
        return node

    @property
    def _word(self) -> Word:
        return self._words[self._at]

    def _unexpected(self) -> ConditionError:
        before = spelled(list(self._words[max(self._at - 4, 0) : self._at]))
        after = f" after {before}" if before else ""
        return ConditionError(f"does not expect {str(self._word) or 'its end'}{after}")

    def _take(self, *values: str) -> str | None:
        """Move over the next word if it is one of these keywords or symbols, and return it."""
        word = self._word
        if word.kind not in {"keyword", "symbol"} or word.value not in values:
            return None
        self._at += 1
        return word.value

    def _need(self, value: str) -> None:
        if self._take(value) is None:
            raise self._unexpected()

    def _any(self) -> _Node:
        nodes = [self._all()]
        while self._take("or"):
            nodes.append(self._all())
        return _joined("or", nodes)

    def _all(self) -> _Node:
        nodes = [self._negation()]
        while self._take("and"):
            nodes.append(self._negation())
        return _joined("and", nodes)

    def _negation(self) -> _Node:
        if self._take("not"):
            return _of(negated, self._deeper(self._negation))
        return self._predicate()

    def _predicate(self) -> _Node:
        left = self._sum()
        if symbol := self._take(*_COMPARISONS):
            return _compared(symbol, left, self._sum())
        if self._take("is"):
            negate = self._take("not")
            self._need("null")
            node = _of(is_null, left)
            return _of(negated, node) if negate else node
        negate = self._take("not")
        if self._take("between"):
            node = self._between(left)
        elif self._take("in"):
            node = self._among(left)
        elif negate:
            raise self._unexpected()
        else:
            return left
        return _of(negated, node) if negate else node

    def _between(self, left: _Node) -> _Node:
        low = self._sum()
        self._need("and")
        high = self._sum()
        return _joined("and", [_compared(">=", left, low), _compared("<=", left, high)])

    def _among(self, left: _Node) -> _Node:
        self._need("(")
        nodes = [_compared("=", left, self._sum())]
        while self._take(","):
            nodes.append(_compared("=", left, self._sum()))
        self._need(")")
        return _joined("or", nodes)

    def _sum(self) -> _Node:
        return self._operated(_ADDED, lambda: self._operated(_MULTIPLIED, self._signed))

    def _operated(self, symbols: Sequence[str], operand: Callable[[], _Node]) -> _Node:
        first, rest = operand(), []
        while symbol := self._take(*symbols):
            rest.append((symbol, operand()))
        return _folded(arithmetic, first, rest)

    def _signed(self) -> _Node:
        if self._take("-"):
            if self._word.kind == "number":
                return self._number("-")
            return _folded(arithmetic, lambda _: literal(0), [("-", self._deeper(self._signed))])
        return self._deeper(self._signed) if self._take("+") else self._operand()

    def _operand(self) -> _Node:
        word = self._word
        if word.kind == "number":
            return self._number()
        if word.kind == "text" or word.value in {"true", "false", "null"}:
            self._at += 1
            value = literal(word.value if word.kind == "text" else {"true": True, "false": False}.get(word.value))
            return lambda _: value
        if word.kind == "name":
            self._at += 1
            return self._call(word.value) if not word.is_quoted and self._take("(") else self._column(word.value)
        self._need("(")
        node = self._deeper(self._any)
        self._need(")")
        return node

    def _number(self, sign: str = "") -> _Node:
        written = sign + self._word.value
        self._at += 1
        try:
            value = literal(int(written) if written.lstrip("-").isdigit() else float(written))
        except OverflowError as error:
            raise ConditionError(f"{written} is too large an integer") from error
        return lambda _: value

    def _call(self, name: str) -> _Node:
        if name not in FUNCTIONS:
            raise ConditionError(f"there is no function {name}(), only {', '.join(FUNCTIONS)}")
        node = self._deeper(self._sum)
        self._need(")")
        return _of(lambda value: call(name, value), node)

    def _column(self, name: str) -> _Node:
        self.columns.append(name)
        return lambda columns: columns[name]

    def _deeper(self, parse: Callable[[], _Node]) -> _Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ConditionError(f"is nested more than {MAX_DEPTH} levels deep")
        node = parse()
        self._depth -= 1
        return node


def _of(function: Callable[[Value], Value], node: _Node) -> _Node:
    return lambda columns: function(node(columns))


def _compared(symbol: str, left: _Node, right: _Node) -> _Node:
    return _folded(comparison, left, [(symbol, right)])


def _joined(symbol: str, nodes: Sequence[_Node]) -> _Node:
    return _folded(joined, nodes[0], [(symbol, node) for node in nodes[1:]])


def _folded(function: Callable[[str, Value, Value], Value], first: _Node, rest: Sequence[tuple[str, _Node]]) -> _Node:
    """Combine the first part with each of the rest, from left to right, in a loop: a long condition must not nest calls."""

    def value(columns: Mapping[str, Value]) -> Value:
        found = first(columns)
        for symbol, node in rest:
            found = function(symbol, found, node(columns))
        return found

    return value
