"""Terminal output: progress bars, tables and aligned lines for people, JSON for programs."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.json_logs import is_asked
from infra.json_values import finite
from infra.progress import NamingProgress, no_progress


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
    """Print a table of the given columns; if it is too wide, text folds or records stand below one another."""
    from rich.console import Console

    from flows.tables import table_of

    console = Console()
    shown = table_of(title, columns, rows, console.width)
    if isinstance(shown, str):
        sys.stdout.write(shown)
    else:
        console.print(shown)


def print_text(text: str) -> None:
    """Print a sentence for people."""
    sys.stdout.write(f"{text}\n")


def print_lines(lines: Mapping[str, Any]) -> None:
    """Print aligned `name value` lines."""
    width = max(len(name) for name in lines)
    sys.stdout.writelines(f"{name:<{width}}  {value}\n" for name, value in lines.items())


def missing(folder: str) -> dict[str, str]:
    """Return a line for `print_lines` if a command is about to make this local folder, else nothing."""
    return {} if "://" in folder or Path(folder).exists() else {"made folder": folder}
