"""Tables for terminals of any width: columns are left out from the right, no id or number is broken."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from flows.terminal import printable
from scanner.vocabulary.network_columns import P_PREFIX
from scanner.vocabulary.probability_text import probability_text

_LONGEST_WORD = 24
"""Largest number of letters of a word that is never broken."""
_LONGEST_CELL = 400
"""Largest number of letters of a cell that is shown."""
_BETWEEN = 3
"""Width of the border and the spaces between two columns."""
_SHORT_LIST = 4
"""Largest number of values of a list that are shown."""
_DECIMALS = 4
_NAME = "candidate_id"
_SURVEY = re.compile(r"^[A-Z]+ (?=J\d)")
"""The survey in the name of a candidate, which a narrow table leaves out."""


def table_of(title: str, columns: Sequence[str], rows: Sequence[Mapping[str, Any]], width: int) -> tuple[Table, list[str]]:
    """Return a table that fits into `width`, and the columns that it leaves out, from the right.

    Args:
        title: Line above the table.
        columns: Names, the most important first.
        rows: Values by name.
        width: Number of letters of a line.
    """
    cells = {column: [_cell_of(column, row[column]) for row in rows] for column in columns}
    numeric = {column for column in columns if any(_is_number(row[column]) for row in rows)}
    shown, left_out = list(columns), list[str]()
    if _spare(shown, cells, numeric, width) < 0 and _NAME in cells:
        cells[_NAME] = [_SURVEY.sub("", text) for text in cells[_NAME]]
    while _spare(shown, cells, numeric, width) < 0 and len(shown) > 1:
        left_out.insert(0, shown.pop())
    cells = {column: cells[column] for column in shown}
    least = {column: _least(column, cells[column], column in numeric) for column in shown}
    return _drawn(title, cells, _widths(cells, least, max(_spare(shown, cells, numeric, width), 0)), numeric), left_out


def _drawn(title: str, cells: Mapping[str, Sequence[str]], widths: Mapping[str, int], numeric: set[str]) -> Table:
    table = Table(title=Text(printable(title)) if title else None, title_justify="left")
    for column, wide in widths.items():
        title_of_column = Text(printable(_header(column, wide)))
        table.add_column(title_of_column, justify="right" if column in numeric else "left", width=wide, overflow="fold")
    for row in zip(*cells.values(), strict=True):
        table.add_row(*map(Text, row))
    return table


def _spare(shown: Sequence[str], cells: Mapping[str, Sequence[str]], numeric: set[str], width: int) -> int:
    """Return how many letters are left over in a line where each column has its smallest width."""
    return width - 1 - sum(_least(column, cells[column], column in numeric) + _BETWEEN for column in shown)


def _widths(cells: Mapping[str, Sequence[str]], least: Mapping[str, int], spare: int) -> dict[str, int]:
    """Return the width of each column; those that lack least get the spare letters first."""
    lacking = {column: _longest(column, cells[column]) - least[column] for column in cells}
    widths = dict(least)
    for column in sorted(lacking, key=lambda name: lacking[name]):
        extra = min(lacking[column], spare)
        widths[column] += extra
        spare -= extra
    return widths


def _cell_of(column: str, value: Any) -> str:
    """Return a cell; a probability, whose column is `p` or begins with `p_`, never reads 1."""
    is_probability = isinstance(value, float) and value >= 0.01 and (column == "p" or column.startswith(P_PREFIX))
    text = cell(value)
    # The limit is as short as other cells, so that the demo's candidates fit 80 letters.
    return probability_text(value).replace("> ", ">") if is_probability and float(text) == 1 else text


def _longest(column: str, texts: Sequence[str]) -> int:
    return max(map(len, [column, *texts]))


def cell(value: Any) -> str:
    """Return a value as text: numbers with four decimals, small and large ones with three digits; the length of a long list."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3g}" if 0 < abs(value) < 0.01 or abs(value) >= 1e6 else f"{value:.{_DECIMALS}f}"
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, list | tuple) and len(value) > _SHORT_LIST:
        return f"{len(value)} values"
    text = str(value)
    return printable(" ".join((text if len(text) <= _LONGEST_CELL else f"{text[:_LONGEST_CELL]}...").split()))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _least(column: str, texts: Sequence[str], is_numeric: bool) -> int:
    """Return the smallest width of a column: numbers, names of candidates and words stay whole, titles break after `_`."""
    whole = is_numeric or column == _NAME
    words = texts if whole else [word for text in texts for word in text.split()]
    longest = max(map(len, words), default=0)
    return max(*map(len, _parts(column)), longest if whole else min(longest, _LONGEST_WORD))


def _parts(column: str) -> list[str]:
    return re.findall(r"[^_ ]*[_ ]|[^_ ]+", column) or [column]


def _header(column: str, width: int) -> str:
    """Return a name, broken after underscores into lines of at most `width` letters."""
    lines = [""]
    for part in _parts(column):
        if len(lines[-1] + part) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)
