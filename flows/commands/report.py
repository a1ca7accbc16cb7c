"""`lensscan report`: write what a night or a catalogue holds as one HTML file."""

from pathlib import Path
from typing import Any

from flows.commands.publish import chosen_known
from infra.errors import LensscanError
from infra.progress import Progress, no_progress
from infra.store.files import check_replaceable
from scanner.catalogue.wanted import Wanted
from scanner.review.report.report import make_report, report_html, write_page

PAGE_SUFFIXES = (".html", ".htm")


class PageError(LensscanError):
    """The page cannot be written to the given path."""


def page_path(name: str, option: str, *, overwrite: bool) -> Path:
    """Return the path of a page, after a check that it can be written there; nothing is left of the check.

    Raises:
        PageError: the path is no local file, has another ending, exists, or cannot be written.
    """
    path = Path(name)
    if "://" in name:
        raise PageError(f"{option} must be a local file, got {name}")
    if path.is_dir():
        raise PageError(f"{option} {name} is a folder, must be a file")
    if path.suffix.lower() not in PAGE_SUFFIXES:
        raise PageError(f"{option} must be a file that ends in {' or '.join(PAGE_SUFFIXES)}, got {name}")
    if path.exists() and not overwrite:
        raise PageError(f"{option} {name} exists; it is not replaced without --overwrite")
    try:
        check_replaceable(path)
    except OSError as error:
        raise PageError(f"{name}: cannot be written: {error.strerror}") from error
    return path


def report_to_file(
    root_uri: str,
    wanted: Wanted,
    path: Path,
    top: int,
    known: str | None = None,
    *,
    no_known: bool = False,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Write the report of the wanted candidates, and return what it holds.

    Args:
        root_uri: The catalogue's root.
        wanted: Night, plans, and conditions on the candidates.
        path: File to write.
        top: Number of candidates to list.
        known: Table of known lenses; by default as for `lensscan publish`.
        no_known: Match no known lenses.
        progress: Called with (tiles or shards read, tiles or shards in all).

    Raises:
        LensscanError: the catalogue or the table cannot be read.
        OSError: the file cannot be written.
    """
    report = make_report(root_uri, wanted, top, chosen_known(known, no_known=no_known), progress=progress)
    n_bytes = write_page(report_html(report), path)
    return {
        "file": str(path),
        "bytes": n_bytes,
        "candidates": report.n_objects,
        "listed": len(report.cards),
        "with_pictures": sum(card.pictures is not None for card in report.cards),
        "near_known_lenses": sum(card.known is not None for card in report.cards),
        "rows_by_status": {line.status: line.n for line in report.outcomes},
        "plans": [plan.plan_id for plan in report.plans],
    }
