"""The commands that read candidates of a catalogue: they print the best, or write all of them to a file."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from flows.cli.app import Fraction, Night, Positive, app
from flows.cli.arguments import warn
from flows.cli.tiles import circle_of
from infra.private_apis import arrow_without_pandas

if TYPE_CHECKING:
    # Not imported: numpy and Arrow take longer than the help.
    from pathlib import Path

    import pyarrow as pa

    from scanner.catalogue.night_rows import Found
    from scanner.catalogue.wanted import Wanted

COLUMNS = ("candidate_id", "ra", "dec", "p_lens", "subclass", "night", "p_compound", "tile")
"""The most important first: a narrow terminal leaves out the last. `--json` and `--sql` show the rest."""
LIKE_COLUMNS = ("candidate_id", "distance", "p_lens", "subclass", "object_id", "anomaly", "tile")
"""The same with `--like`."""
GRADED_COLUMNS = ("candidate_id", "ra", "dec", "p_lens", "grade", "p_graded", "n_votes", "reason")
"""The same with `--grades`."""
AsGraded = Annotated[bool, Parameter(negative=())]
Most = Annotated[Positive | None, Parameter(name=("--limit", "--top"))]


@Parameter(name="*")
@dataclass(frozen=True)
class CandidateOptions:
    """Options that say which candidates are read."""

    min_p_lens: Annotated[
        Fraction | None,
        Parameter(
            help="Lowest `p_lens`; by default the threshold of the scan. Rows below it may have a `p_lens` in bfloat16, as "
            "their column `precision` says."
        ),
    ] = None
    night: Annotated[Night | None, Parameter(help="This night only: YYYY-MM-DD, or `undated` for scans without a night.")] = (
        None
    )
    subclass: Annotated[
        Literal["single", "compound_arc", "double_ring"] | None,
        Parameter(help="This subclass only: single, compound_arc or double_ring."),
    ] = None
    cone: Annotated[
        tuple[float, float, float] | None,
        Parameter(negative=(), help="RA, Dec and radius of a circle, in degrees: the candidates inside."),
    ] = None
    plan: Annotated[
        str | None,
        Parameter(
            help="Only the rows of the plan whose id begins with these characters, also if newer scans have replaced it."
        ),
    ] = None
    all_plans: Annotated[
        bool, Parameter(help="The rows of every plan, so that an object comes once for each plan that holds it.")
    ] = False
    fdr: Annotated[
        Fraction | None,
        Parameter(
            help="The longest list of a night in which the expected share of objects that are no lenses is at most this, such "
            "as 0.1; not with other conditions than `--night`."
        ),
    ] = None

    @property
    def _label(self) -> str | None:
        return None if self.night is None else str(self.night)

    def wanted(self, limit: int | None, catalogue: str) -> "Wanted":
        """Return the same conditions, and the largest number of rows; `fdr` becomes a lowest `p_lens`.

        Raises:
            PlanError: the circle is not on the sky.
            QueryError: `fdr` is given together with another condition.
            YieldError: no list of this catalogue has the guarantee.
        """
        from scanner.catalogue.wanted import Wanted

        return Wanted(
            min_p_lens=self.min_p_lens if self.fdr is None else self._least(catalogue, self.fdr),
            night=self._label,
            subclass=self.subclass,
            circle=circle_of("--cone", self.cone),
            limit=limit,
            plan=self.plan,
            all_plans=self.all_plans,
        )

    def _least(self, catalogue: str, fdr: float) -> float:
        """Return the smallest `p_lens` of the list that holds a false discovery rate; warn if the survey is not calibrated."""
        from flows.commands.yields import least_p_lens
        from scanner.catalogue.query import QueryError

        others = (self.min_p_lens, self.subclass, self.cone, self.plan, self.all_plans or None)
        if any(other is not None for other in others):
            raise QueryError("--fdr holds for the whole list of a night: no other condition than --night goes with it")
        least, warning = least_p_lens(catalogue, self._label, fdr)
        if warning:
            warn(warning)
        return least


ALL_CANDIDATES = CandidateOptions()


@app.command
def query(
    catalogue: str,
    *,
    sql: str | None = None,
    like: str | None = None,
    chosen: CandidateOptions = ALL_CANDIDATES,
    limit: Most = None,
    grades: AsGraded = False,
    out: str | None = None,
    overwrite: bool = False,
    json: bool = False,
    csv: bool = False,
) -> None:
    """Print candidates of a catalogue, best first, or the result of an SQL query.

    Each object comes once in a night, from the newest scan of its tile.

    For example: `lensscan query catalogue/ --min-p-lens 0.9 --limit 10`

    or: `lensscan query catalogue/ --sql "select night, count(*) as n from candidates group by night"`

    or: `lensscan query catalogue/ --like 1234567 --top 10`

    Args:
        catalogue: Folder or `s3://` prefix given to `scan --out`.
        sql: Query over the views `candidates`, `scores` (all rows) and `grades` (what graders say).
        like: `object_id` or `candidate_id`: print the objects that the networks see most like this one, nearest first,
            candidates or not. `distance` is 1 minus the cosine of their embeddings.
        chosen: The candidates to print.
        limit: Largest number of rows; 20 by default, no limit with `--sql`, nor with `--out` but for `--like`.
        grades: Add the columns of what graders say of each object.
        out: Write all columns but the maps to this file instead, as `lensscan export` does.
        overwrite: Replace the file of `--out` if it exists.
        json: Print JSON instead of a table.
        csv: Print all columns but the maps as CSV instead.
    """
    from flows.terminal import print_json, print_table, print_text

    arrow_without_pandas()
    wanted = chosen.wanted(20 if limit is None and sql is None and out is None else limit, catalogue)
    if like is not None:
        _print_like(catalogue, like, wanted, out, sql=sql, grades=grades, overwrite=overwrite, as_json=json, as_csv=csv)
        return
    if out is not None:
        _export(catalogue, wanted, out, "--out", sql=sql, grades=grades, overwrite=overwrite, as_json=json)
        return
    from flows.commands.query_text import expected_in_words

    found = _found(catalogue, wanted, sql=sql, grades=grades)
    shown = found.rows
    if json or csv:
        print_json(shown.to_pylist()) if json else _print_csv(shown)
    elif sql is not None:
        print_table("", shown.column_names, shown.to_pylist())
    else:
        has_nights = len(shown["night"].unique()) > 1
        columns = GRADED_COLUMNS if grades else [column for column in COLUMNS if column != "night" or has_nights]
        print_table(f"{shown.num_rows} of {found.n_all} candidates", columns, shown.to_pylist())
        if grades:
            print_text("p_graded begins at p_lens, and few grades move it little: `grade` is what graders say.")
        if chosen.fdr is not None:
            from flows.commands.yields import promise_in_words

            print_text(promise_in_words(chosen.fdr))
            return
        words = expected_in_words(catalogue, wanted)
        # The evaluation counts candidates of all subclasses together.
        if words is not None and wanted.subclass is None:
            print_text(words)


@app.command
def export(
    catalogue: str,
    file: str,
    *,
    chosen: CandidateOptions = ALL_CANDIDATES,
    limit: Most = None,
    grades: AsGraded = False,
    links: Annotated[bool, Parameter(negative=())] = False,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Write candidates of a catalogue to a file, best first: all columns but the maps, or pictures of the best.

    The ending of the name says the format: `.parquet`, `.csv`, `.fits`, `.vot` (VOTable), `.json` (a list of records), `.reg`
    (circles that DS9 draws over an image) or `.png` (VIS and colour of the best hundred, or of `--top`, at fixed stretches).
    Parquet, FITS and VOTable keep units and descriptions. Each object comes once in a night, from the newest scan of its tile.

    For example: `lensscan export catalogue/ candidates.vot`

    or: `lensscan export catalogue/ best.csv --min-p-lens 0.1 --top 100`

    or: `lensscan export catalogue/ rings.png --subclass double_ring`

    Args:
        catalogue: Folder or `s3://` prefix given to `scan --out`.
        file: File to write.
        chosen: The candidates to write.
        limit: Largest number of rows; all by default, 100 for `.png`, which holds at most 400.
        grades: Add the columns of what graders say of each object.
        links: Add the columns `aladin` and `esasky`: addresses that show the place in Aladin Lite and in ESASky.
        overwrite: Replace the file if it exists.
        json: Print JSON instead of a sentence.
    """
    arrow_without_pandas()
    if file.lower().endswith(".png"):
        if grades or links:
            from scanner.catalogue.export import ExportError

            raise ExportError(f"--grades and --links add columns, of which a picture has none, got {file}")
        _draw(catalogue, chosen, limit, file, overwrite=overwrite, as_json=json)
    else:
        wanted = chosen.wanted(limit, catalogue)
        _export(catalogue, wanted, file, "FILE", grades=grades, links=links, overwrite=overwrite, as_json=json)


def _print_csv(rows: "pa.Table") -> None:
    import sys

    from scanner.catalogue.export import ExportError
    from scanner.catalogue.table_files import write_csv

    sys.stdout.flush()
    try:
        write_csv(rows, sys.stdout.buffer)
    except ValueError as error:
        raise ExportError(f"CSV cannot hold these rows: {error}") from error


def _print_like(
    catalogue: str,
    name: str,
    wanted: "Wanted",
    out: str | None,
    *,
    sql: str | None,
    grades: bool,
    overwrite: bool,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Print the objects most like one, or write them to a file."""
    from flows.commands.like import rows_like
    from flows.terminal import print_json, print_table
    from scanner.catalogue.export import export_path

    target = None if out is None else export_path(out, "--out", overwrite=overwrite)
    rows = rows_like(catalogue, name, wanted, sql=sql, grades=grades)
    if target is not None:
        _write(rows, target, catalogue, as_json=as_json)
    elif as_json or as_csv:
        print_json(rows.to_pylist()) if as_json else _print_csv(rows)
    else:
        print_table(f"{rows.num_rows} objects like {name}", LIKE_COLUMNS, rows.to_pylist())


def _draw(catalogue: str, chosen: CandidateOptions, limit: int | None, file: str, *, overwrite: bool, as_json: bool) -> None:
    """Draw candidates into a PNG file, and say how many."""
    from flows.commands.words import counted
    from flows.terminal import print_json, print_text
    from scanner.catalogue.export import export_path
    from scanner.review.mosaic import DRAWN, write_mosaic

    target = export_path(file, "FILE", overwrite=overwrite, suffixes=(".png",))
    n = write_mosaic(catalogue, chosen.wanted(DRAWN if limit is None else limit, catalogue), target)
    if as_json:
        print_json({"candidates": n, "file": file})
    else:
        print_text(f"{counted(n, 'candidate')} drawn into {file}")


def _export(
    catalogue: str,
    wanted: "Wanted",
    file: str,
    option: str,
    *,
    sql: str | None = None,
    grades: bool,
    links: bool = False,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write rows to the file that an option or an argument names, and say how many."""
    from scanner.catalogue.export import EXPORT_SUFFIXES, export_path

    # `export` has drawn a file that ends in .png before, and its message names this ending, too.
    suffixes = (*EXPORT_SUFFIXES, *([] if option == "--out" else [".png"]))
    target = export_path(file, option, overwrite=overwrite, suffixes=suffixes)
    rows = _found(catalogue, wanted, sql=sql, grades=grades).rows
    if links:
        from scanner.review.links import with_links

        rows = with_links(rows)
    _write(rows, target, catalogue, as_json=as_json)


def _write(rows: "pa.Table", target: "Path", catalogue: str, *, as_json: bool) -> None:
    """Write rows to a file, and say how many."""
    from flows.terminal import print_json, print_text
    from scanner.catalogue.export import export as write

    n = write(rows, target, catalogue)
    if as_json:
        print_json({"rows": n, "file": str(target)})
    else:
        print_text(written_in_words(n, rows.num_rows, str(target)))


def written_in_words(n: int, n_all: int, file: str) -> str:
    """Say how many of all rows were written to a file; the others have no position."""
    from flows.commands.words import counted

    left_out = f", left out {n_all - n} without a position" if n < n_all else ""
    return f"{counted(n, 'row')} written to {file}{left_out}"


def _found(catalogue: str, wanted: "Wanted", *, sql: str | None, grades: bool) -> "Found":
    """Return the rows of a query, with the columns of grades if these are asked for.

    Raises:
        QueryError: SQL and grades are asked for together.
    """
    from scanner.catalogue.query import QueryError, find

    if sql is None and not grades:
        return find(catalogue, wanted)
    # Imported here, because few queries need the votes.
    from scanner.review.votes.graded import grade_views, graded_objects, with_grades

    if sql is not None:
        if grades:
            raise QueryError("give either --sql or --grades, not both; SQL has the view `grades`, by object_id")
        return find(catalogue, wanted, sql=sql, views=grade_views(catalogue))
    found = find(catalogue, wanted)
    return found._replace(rows=with_grades(found.rows, graded_objects(catalogue)))
