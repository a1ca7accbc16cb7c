"""Terminal output: progress bars, tables and aligned lines for people, JSON for programs."""

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.json_logs import is_asked
from infra.json_values import finite
from infra.progress import NamingProgress, no_progress

# All that moves the cursor, changes a terminal, or turns the direction of writing; line ends and tabs are no danger.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_NO_LIMIT = 10**6


def printable(text: str) -> str:
    """Return a text for a terminal: a control character reads as its code in hexadecimal."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


@contextmanager
def terminal_progress(label: str, *, quiet: bool = False) -> Iterator[NamingProgress]:
    """Show a bar with rate and time left on stderr; show nothing if `quiet`, for logs in JSON, or without a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn

    from flows.progress_bar import NamingBar, bar_texts

    console = Console(stderr=True)
    if quiet or is_asked() or not sys.stderr.isatty():
        yield no_progress
        return
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}"), TimeRemainingColumn()
    with NamingBar(*columns, console=console) as bar:
        task = bar.add_task(label, total=None, text="preparing")
        text_of = bar_texts()

        def report(done: int, total: int, at_work: Sequence[str] = (), /) -> None:
            bar.at_work = tuple(at_work)
            bar.update(task, completed=done, total=total, text=text_of(done, total))

        yield report


def print_json(value: Any) -> None:
    """Print one JSON document on stdout."""
    sys.stdout.write(json.dumps(finite(value), indent=2, default=str, allow_nan=False) + "\n")


def print_table(title: str, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a table of the given columns, the most important first, and name those for which the terminal is too narrow.

    A file or a pipe gets all columns; the variable COLUMNS sets another width.
    """
    from rich.console import Console

    from flows.commands.words import named
    from flows.tables import table_of

    is_piped = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    console = Console(width=_NO_LIMIT if is_piped else None)
    table, left_out = table_of(title, columns, rows, console.width)
    console.print(table)
    if left_out:
        print_text(f"No room for {named(left_out)}: --json shows all, and so does a wider terminal.")


def print_text(text: str) -> None:
    """Print a sentence for people."""
    sys.stdout.write(f"{printable(text)}\n")


def print_lines(lines: Mapping[str, Any]) -> None:
    """Print aligned `name value` lines."""
    width = max(len(name) for name in lines)
    sys.stdout.writelines(f"{name:<{width}}  {printable(str(value))}\n" for name, value in lines.items())


def missing(folder: str) -> dict[str, str]:
    """Return a line for `print_lines` if a command is about to make this local folder, else nothing."""
    return {} if "://" in folder or Path(folder).exists() else {"made folder": folder}
