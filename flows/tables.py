"""Tables for terminals of any width: no column is dropped and no number is cut."""

import re
from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Any

from rich.table import Table
from rich.text import Text

from scanner.vocabulary.network_columns import P_PREFIX
from scanner.vocabulary.probability_text import probability_text

_LEAST_TEXT = 12
"""Smallest width of a column of text that folds, in letters."""
_BETWEEN = 3
"""Width of the border and the spaces between two columns."""
_SHORT_LIST = 4
"""Largest number of values of a list that are shown."""
_DECIMALS = 4


def table_of(title: str, columns: Sequence[str], rows: Sequence[Mapping[str, Any]], width: int) -> Table | str:
    """Return a table whose text folds to fit into `width`; if it cannot, the records one after the other as text.

    Args:
        title: Line above the table.
        columns: Names, in order.
        rows: Values by name.
        width: Number of letters of a line.
    """
    cells = {column: [_cell_of(column, row[column]) for row in rows] for column in columns}
    numeric = {column for column in columns if any(_is_number(row[column]) for row in rows)}
    least = {column: _least(column, cells[column], column in numeric) for column in columns}
    spare = width - 1 - sum(least.values()) - _BETWEEN * len(columns)
    if spare < 0:
        return "".join(f"{line}\n" for line in _records(title, cells, len(rows), width))
    widths = _widths(cells, least, spare)
    table = Table(title=title or None, title_justify="left")
    for column, wide in widths.items():
        table.add_column(_header(column, wide), justify="right" if column in numeric else "left", width=wide, overflow="fold")
    for number in range(len(rows)):
        table.add_row(*(Text(cells[column][number]) for column in columns))
    return table


def _widths(cells: Mapping[str, Sequence[str]], least: Mapping[str, int], spare: int) -> dict[str, int]:
    """Return the width of each column; those that lack least get the spare letters first."""
    lacking = {column: max(map(len, [column, *cells[column]])) - least[column] for column in cells}
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
    return str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _least(column: str, texts: Sequence[str], is_numeric: bool) -> int:
    """Return the smallest width of a column: numbers stay whole, a name breaks after underscores."""
    longest = max(map(len, texts), default=0)
    return max(*map(len, _parts(column)), longest if is_numeric else min(longest, _LEAST_TEXT))


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


def _records(title: str, cells: Mapping[str, Sequence[str]], n_rows: int, width: int) -> Iterator[str]:
    """Yield the lines of records: a line `name  value` for each column; long values go on in the next line."""
    if title:
        yield title
    names = max(map(len, cells))
    for number in range(n_rows):
        yield f"-- {number + 1} of {n_rows} --"
        for column, texts in cells.items():
            lines = wrap(texts[number], max(width - names - 2, 1)) or [""]
            yield f"{column:<{names}}  {lines[0]}".rstrip()
            yield from (f"{'':<{names}}  {line}" for line in lines[1:])
