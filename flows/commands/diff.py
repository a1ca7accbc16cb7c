"""`lensscan diff`: compare the candidates of two catalogues, or of two plans or nights of one."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from flows.commands.words import counted
from infra.errors import LensscanError
from scanner.catalogue.export import REGIONS_SUFFIX, export, export_path
from scanner.catalogue.paths import UNDATED
from scanner.catalogue.wanted import Wanted
from scanner.review.diff.changes import Difference, Rules, Side, difference
from scanner.review.diff.diff_page import diff_html
from scanner.review.report.report import write_page

COLUMNS = ("change", "candidate_id", "p_lens_a", "p_lens_b", "delta_log_odds", "status_a", "status_b")
"""Columns that fit 100 characters; `--json` and `--out` have the rest."""
N_SHOWN = 20
"""Number of changes on the screen."""


class DiffArgumentsError(LensscanError):
    """The arguments of a comparison do not fit together."""


def sides_of(
    a: str,
    b: str | None,
    plans: tuple[str, str] | None,
    nights: tuple[str, str] | None,
    *,
    night: str | None,
    min_p_lens: float | None,
) -> tuple[Side, Side]:
    """Read the two sides that the arguments name: two catalogues, or two plans or two nights of one.

    Raises:
        DiffArgumentsError: the arguments name no two sides, or more than two.
        LensscanError: a catalogue cannot be read, or has no such plan or night.
    """
    given = [name for name, value in (("a second catalogue", b), ("--plans", plans), ("--nights", nights)) if value is not None]
    if len(given) != 1:
        named = f"got {' and '.join(given)}" if given else "got none of them"
        raise DiffArgumentsError(f"give a second catalogue, --plans P Q or --nights N M, and only one of these; {named}")
    if nights is not None and night is not None:
        raise DiffArgumentsError("give either --night, for both sides, or --nights, one for each side")
    if b is not None:
        wanted = Wanted(night=night, min_p_lens=min_p_lens)
        return Side.read(a, wanted, a), Side.read(b, wanted, b)
    if plans is not None:
        first, second = (Wanted(plan=plan, night=night, min_p_lens=min_p_lens) for plan in plans)
        return Side.read(a, first, f"{a}, plan {plans[0]}"), Side.read(a, second, f"{a}, plan {plans[1]}")
    first, second = (Wanted(night=label, min_p_lens=min_p_lens) for label in nights or ())
    return Side.read(a, first, f"{a}, night {first.night}"), Side.read(a, second, f"{a}, night {second.night}")


def night_of(text: str) -> str:
    """Return a night as the catalogue labels it: a date, or `undated`.

    Raises:
        DiffArgumentsError: it is neither.
    """
    try:
        return text if text == UNDATED else date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise DiffArgumentsError(f"--nights: a night must be a date, YYYY-MM-DD, or {UNDATED}, got {text}") from error


def table_path(name: str, *, overwrite: bool) -> Path:
    """Return the path of a table of changes, after a check that it can be written.

    Raises:
        DiffArgumentsError: it would be a file of regions.
        ExportError: it cannot be written.
    """
    if name.lower().endswith(REGIONS_SUFFIX):
        raise DiffArgumentsError(f"--out must be a table, such as changes.csv or changes.parquet, got {name}")
    return export_path(name, "--out", overwrite=overwrite)


def compare(sides: tuple[Side, Side], rules: Rules, table: Path | None, page: Path | None, top: int) -> Difference:
    """Compare two sides, and write the table and the page that are asked for.

    Raises:
        LensscanError: a catalogue cannot be read, or the format cannot hold the table.
        OSError: a file cannot be written.
    """
    found = difference(*sides, rules)
    if table is not None:
        export(found.table, table, f"{found.first.name} against {found.second.name}")
    if page is not None:
        write_page(diff_html(found, top), page)
    return found


def summary_of(found: Difference) -> dict[str, Any]:
    """Return the numbers of a comparison."""
    sides = {"a": found.first, "b": found.second}
    return {
        **{
            letter: {"name": side.name, "candidates": side.rows.num_rows, "p_lens_from": side.thresholds}
            for letter, side in sides.items()
        },
        **found.counts,
        "same": found.n_same,
    }


def lines_of(found: Difference) -> Iterator[tuple[str, str]]:
    """Yield name and text of the lines that people read."""
    for letter, side in (("a", found.first), ("b", found.second)):
        least = ", ".join(f"{threshold:g}" for threshold in side.thresholds)
        yield letter, f"{side.name}: {counted(side.rows.num_rows, 'candidate')} with p_lens of at least {least}"
    for change, n in found.counts.items():
        yield change, str(n)
    yield "same", str(found.n_same)
