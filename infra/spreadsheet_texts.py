"""Texts in CSV files that a spreadsheet may open: no cell is run as a formula, and our own readers restore every text.

A spreadsheet may run a cell that begins with `=`, `+`, `-`, `@`, a tab or a line end, also behind spaces or a byte order mark.
So a text that begins so is written with an apostrophe before it, and read without it. A text that begins with apostrophes and
then such a character gets one more.
"""

import re

import pyarrow as pa
import pyarrow.compute as pc

_FORMULA = "[ \u00a0\ufeff']*[=+@\t\r\n\uff1d\uff0b\uff0d\uff20-]"
"""Beginning of a text that a spreadsheet could run; some read the wide forms of the signs, too."""
_BEGINNING = re.compile(_FORMULA)


def protected(text: str) -> str:
    """Return the text of a cell that no spreadsheet runs."""
    return f"'{text}" if _BEGINNING.match(text) else text


def restored(cell: str) -> str:
    """Return the text that `protected` was given."""
    return cell[1:] if cell.startswith("'") and _BEGINNING.match(cell) else cell


def protected_table(table: pa.Table) -> pa.Table:
    """Return the table with all its texts protected; numbers stay numbers."""
    for i, field in enumerate(table.schema):
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            is_formula = pc.match_substring_regex(table[i], f"^{_FORMULA}")
            quoted = pc.binary_join_element_wise(pa.scalar("'", field.type), table[i], pa.scalar("", field.type))
            table = table.set_column(i, field, pc.if_else(is_formula, quoted, table[i]))
    return table


def restored_column(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the texts that were protected in a column of cells."""
    return pc.replace_substring_regex(texts, f"^'({_FORMULA})", r"\1")
