"""The commands that write pages for people: a report of a night or a catalogue, and what differs between two."""

from typing import Annotated

from cyclopts import Parameter, validators

from flows.cli.app import AboveZero, Fraction, Night, Positive, app
from flows.cli.arguments import whole_number
from flows.cli.candidates import ALL_CANDIDATES, CandidateOptions

REPORT_FILE = "report.html"
TOP, MOST_TOP = 200, 500
"""As `scanner.review.report.report`, which takes longer to import than the help."""
Top = Annotated[
    int, Parameter(name=("--top", "--limit"), converter=whole_number, validator=validators.Number(gte=1, lte=MOST_TOP))
]


@app.command
def report(
    catalogue: str,
    *,
    chosen: CandidateOptions = ALL_CANDIDATES,
    out: str = REPORT_FILE,
    title: str | None = None,
    top: Top = TOP,
    known: str | None = None,
    no_known: Annotated[bool, Parameter(negative=())] = False,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Write a night or a catalogue as one HTML file: the best candidates with pictures and maps, sky, scores, outcomes.

    The page needs no server and no network. It lists each object once, with VIS and colour at two fixed stretches, the maps
    laid over VIS on request, and links to Aladin Lite and ESASky; it says which part of the sky was scanned, how many objects
    were rejected and why, how pure the list should be, and which plan, ensemble and code the rows come from.

    For example: `lensscan report catalogue/ --night 2026-11-24 --out night.html`

    Args:
        catalogue: Folder or `s3://` prefix given to `scan --out`.
        chosen: The candidates to list.
        out: File to write, which ends in .html.
        title: Title of the page; by default `Lens candidates`, and the night.
        top: Number of candidates to list, best first; at most 500, 50 kB each.
        known: Table of known lenses: CSV, Parquet, FITS or VOTable with RA and Dec in degrees, `name`, and perhaps `grade`
            and `reference`. By default the setting `known_lenses`, else the table of the package lenscat, if it is installed.
        no_known: Match no known lenses.
        overwrite: Replace the file if it exists.
        json: Print JSON instead of a sentence.
    """
    from flows.commands.page_path import page_path
    from flows.commands.report import report_to_file
    from flows.commands.words import counted
    from flows.terminal import print_json, print_text, terminal_progress
    from infra.private_apis import arrow_without_pandas

    arrow_without_pandas()
    path = page_path(out, "--out", overwrite=overwrite)
    with terminal_progress("reading", quiet=json) as shown:
        wanted = chosen.wanted(None, catalogue)
        done = report_to_file(catalogue, wanted, path, top, known, no_known=no_known, title=title, progress=shown)
    if json:
        print_json(done)
    else:
        n = f"{done['listed']} of {counted(done['candidates'], 'candidate')}"
        print_text(f"{n} written to {out}, {done['bytes'] / 1e6:.1f} MB")


@app.command
def diff(
    a: str,
    b: str | None = None,
    *,
    plans: tuple[str, str] | None = None,
    nights: tuple[str, str] | None = None,
    night: Night | None = None,
    min_p_lens: Fraction | None = None,
    moved_by: AboveZero = 1.0,
    rank_moved_by: Positive | None = None,
    radius_arcsec: AboveZero = 1.0,
    out: str | None = None,
    report: str | None = None,
    top: Top = TOP,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Print which candidates were gained, lost and moved between two catalogues, or two plans or nights of one.

    Objects are the same if their ids are, else if they lie near each other. For an object that is a candidate on one side
    only, the output says what the other side knows: a lower score, a rejection with its reason, or nothing.

    For example: `lensscan diff old/ new/ --report diff.html`

    or: `lensscan diff catalogue/ --plans 3f12 90ab --out changes.csv`

    or: `lensscan diff catalogue/ --nights 2026-11-23 2026-11-24`

    Args:
        a: Folder or `s3://` prefix of the old catalogue.
        b: Folder or `s3://` prefix of the new catalogue; leave it out with `--plans` and `--nights`.
        plans: First characters of the ids of two plans of the catalogue, the old one first.
        nights: Two nights of the catalogue, the old one first: YYYY-MM-DD, or `undated` for scans without a night.
        night: This night only, on both sides.
        min_p_lens: Lowest `p_lens` of the candidates of both sides; by default the threshold of each side.
        moved_by: Smallest change of ln(p_lens/(1-p_lens)) of a candidate that counts as moved.
        rank_moved_by: Smallest change of the place in the list that counts as moved, too; by default places do not count.
        radius_arcsec: Largest separation of an object's positions where its ids differ.
        out: Write all changes to this file, which ends in .csv, .parquet, .fits, .vot or .json.
        report: Write a page with the pictures and maps of both sides to this file, which ends in .html.
        top: Largest number of changes on the page, the best candidates; at most 500.
        overwrite: Replace the files of `--out` and `--report` if they exist.
        json: Print JSON instead of text.
    """
    from flows.commands.diff import COLUMNS, N_SHOWN, compare, lines_of, night_of, sides_of, summary_of, table_path
    from flows.commands.page_path import page_path
    from flows.terminal import print_json, print_lines, print_table
    from infra.private_apis import arrow_without_pandas
    from scanner.review.diff.changes import Rules

    arrow_without_pandas()
    table = None if out is None else table_path(out, overwrite=overwrite)
    page = None if report is None else page_path(report, "--report", overwrite=overwrite)
    labels = None if nights is None else (night_of(nights[0]), night_of(nights[1]))
    sides = sides_of(a, b, plans, labels, night=None if night is None else str(night), min_p_lens=min_p_lens)
    found = compare(sides, Rules(moved_by, rank_moved_by, radius_arcsec), table, page, top)
    files = {name: value for name, value in (("table", out), ("page", report)) if value is not None}
    if json:
        changes = {} if table is not None else {"changes": found.table.to_pylist()}
        print_json({**summary_of(found), **files, **changes})
    else:
        if shown := found.table.slice(0, N_SHOWN).to_pylist():
            print_table(f"{len(shown)} of {found.table.num_rows} changes", COLUMNS, shown)
        print_lines({**dict(lines_of(found)), **files})
