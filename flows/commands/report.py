"""`lensscan report`: write what a night or a catalogue holds as one HTML file."""

from pathlib import Path
from typing import Any

from flows.commands.publish import chosen_known
from infra.progress import Progress, no_progress
from scanner.catalogue.wanted import Wanted
from scanner.review.report.report import make_report, report_html, write_page


def report_to_file(
    root_uri: str,
    wanted: Wanted,
    path: Path,
    top: int,
    known: str | None = None,
    *,
    no_known: bool = False,
    title: str | None = None,
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
        title: Title of the page; by default one that names the night.
        progress: Called with (tiles or shards read, tiles or shards in all).

    Raises:
        LensscanError: the catalogue or the table cannot be read.
        OSError: the file cannot be written.
    """
    report = make_report(root_uri, wanted, top, chosen_known(known, no_known=no_known), title=title, progress=progress)
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
