"""The command line. Every command imports what it needs when it runs, so that `--help` answers at once."""

import logging
import os
import sys
from datetime import date
from pathlib import Path
from typing import Any, Literal

import flows.cli.audit
import flows.cli.explain
import flows.cli.forget
import flows.cli.models  # noqa: F401 - all four register their commands
from flows.cli.app import Fraction, MapsPerUnit, Positive, app
from infra.engine_name import EngineName
from infra.errors import LensscanError
from infra.private_apis import run_exit_handlers
from infra.telemetry import opt_out
from scanner.vocabulary.choices import MAPS_PER_UNIT

PREFECT_QUEUES = ("APILogWorker", "EventsWorker")
"""Loggers outside Prefect's own tree: at the end of a flow they warn of items that a busy server has not accepted yet."""


def main() -> None:
    """Run the command line; a user's mistake ends in one line and exit code 2, never in a traceback."""
    set_up_libraries()
    code = _run()
    # Arrow's threads may abort a process while it exits (apache/arrow#34314), after all work is done, with the wrong exit code.
    # So this function calls the exit handlers itself and skips all further teardown.
    run_exit_handlers()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def set_up_libraries() -> None:
    """Configure libraries before they are imported: no usage reports, and no Prefect logs unless the user asks for them."""
    opt_out()
    # Prefect logs tracebacks of its own; here an error is one line, and stdout carries JSON only.
    if os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL") == "CRITICAL":
        for name in PREFECT_QUEUES:
            logging.getLogger(name).setLevel(logging.CRITICAL)


def _run() -> int:
    """Run the command and return its exit code."""
    try:
        app()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except LensscanError as error:
        sys.stderr.write(f"lensscan: {error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"lensscan: {error.filename or 'system'}: {error.strerror or error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("lensscan: stopped; run the same command again to continue\n")
        return 130
    except Exception as error:
        from flows.server_errors import server_trouble

        if (trouble := server_trouble(error)) is None:
            raise
        sys.stderr.write(f"lensscan: {trouble}\n")
        return 2
    return 0


@app.command
def demo(*, out: Path = Path("demo-output"), json: bool = False) -> None:
    """Simulate a small survey night, scan it, and show the best candidates.

    For example: `lensscan demo --out demo-output`

    Args:
        out: Folder for tiles and catalogue; a second run continues where the first stopped.
        json: Print JSON instead of tables.
    """
    from flows.demo import run_demo

    run_demo(out, as_json=json)


@app.command
def score(
    manifest: str,
    *,
    out: str,
    ensemble: str | None = None,
    batch_size: Positive = 64,
    engine: EngineName | None = None,
    json: bool = False,
) -> None:
    """Score the cutouts of a manifest and write one row for each of its rows, in order.

    For example: `lensscan score manifest.csv --out scores.parquet --ensemble mer3-sim`

    Args:
        manifest: CSV or Parquet with `object_id` and columns VIS, Y, J, H of `URI`, `URI#EXTNAME` or `URI#3`.
        out: Parquet file to write.
        ensemble: Name or folder; the configured one by default.
        batch_size: Number of cutouts scored at a time; results do not depend on this number.
        engine: Inference engine, in float32; by default the best that this machine has.
        json: Print JSON instead of text.
    """
    from flows.commands.score import score_to_file
    from flows.terminal import print_json, print_lines, terminal_progress

    with terminal_progress("scoring", quiet=json) as report:
        summary = score_to_file(manifest, out, ensemble, batch_size, report, engine)
    print_json(summary) if json else print_lines(summary)


@app.command
def scan(
    tiles: str,
    *,
    out: str,
    night: date | None = None,
    ensemble: str | None = None,
    threshold: Fraction | None = None,
    engine: EngineName | None = None,
    exact: bool = False,
    second: str | None = None,
    second_above: Fraction | None = None,
    maps: MapsPerUnit = MAPS_PER_UNIT,
    workers: Positive | None = None,
    ray_address: str | None = None,
    json: bool = False,
) -> None:
    """Scan a folder or prefix of tiles (or shards) into a candidate catalogue.

    Tiles that the catalogue already holds are not scanned again: repeat the command at any time, also after a crash. A scan
    with another ensemble, option or program version replaces the earlier one: readers see each object once.

    For example: `lensscan scan tiles/ --out catalogue/ --night 2026-11-24`

    Args:
        tiles: Folder or `s3://` prefix of Euclid MER tiles, or of shards.
        out: Folder or `s3://` prefix of the catalogue.
        night: Date, for a survey that is scanned night by night: each night is a part of the catalogue, and its tiles may come
            again in another night. Leave it out for a release such as Euclid Q1, which has no nights.
        ensemble: Name or folder; the configured one by default.
        threshold: Smallest `p_lens` of the candidates; by default twice the prevalence that the ensemble assumes. A higher
            threshold scans nothing again. A lower one does, because only candidates are scored in float32 and have maps.
        engine: Inference engine; by default the best that a worker has.
        exact: Score every row in float32. By default, where that is faster, rows are scored in bfloat16, and only those that
            could be candidates in float32; candidates and their numbers are the same.
        second: Second ensemble, by name or folder, which scores the rows whose first `p_lens` reaches `second_above`.
        second_above: Smallest first `p_lens` of these rows; by default the first ensemble's own threshold for candidates.
        maps: Number of candidates of a unit, best first, stored with attribution maps; at most 1000, 0 for none.
        workers: Scan actors.
        ray_address: Ray cluster to use, `auto` inside a Ray job; a local one by default.
        json: Print JSON instead of text.
    """
    from flows.ensembles import chosen_package
    from flows.terminal import print_json, terminal_progress
    from infra.settings import Settings
    from scanner.scan.request import ScanRequest
    from scanner.workers.run import scan_night

    settings = Settings.read()
    request = ScanRequest(
        input_uri=tiles,
        night=night,
        package=chosen_package(ensemble),
        candidate_threshold=threshold,
        engine=engine or settings.engine,
        exact=exact,
        second=chosen_package(second) if second else None,
        second_above=second_above,
        maps_per_unit=maps,
    )
    with terminal_progress("scanning", quiet=json) as report:
        summary = scan_night(
            request,
            out,
            workers=workers or settings.workers,
            ray_address=ray_address or settings.ray_address,
            progress=report,
        )
    print_json(summary.model_dump()) if json else _print_summary(summary)


def _print_summary(summary: Any) -> None:
    from flows.terminal import print_lines

    counts = {f"rows {status}": n for status, n in summary.rows_by_status.items()}
    units = ", ".join(f"{n} {outcome}" for outcome, n in summary.units_by_outcome.items())
    note = "" if set(summary.units_by_outcome) != {"already_committed"} else " (nothing to do)"
    lines = {"night": summary.night or "none", "ensemble": summary.ensemble, "units": units + note, **counts}
    lines["candidates"] = f"{summary.n_candidates} with p_lens of at least {summary.threshold:g}"
    if summary.replaces:
        replaced = (f"plan {old.plan_id[:12]} for {old.n_units_replaced} of {old.n_units} units" for old in summary.replaces)
        lines["replaces"] = ", ".join(replaced)
    print_lines({**lines, "catalogue": summary.candidates_uri, "seconds": summary.seconds})


@app.command
def plan(
    tiles: str,
    *,
    estimate: bool = False,
    units: Positive | None = None,
    ensemble: str | None = None,
    engine: EngineName | None = None,
    exact: bool = False,
    workers: Positive | None = None,
    json: bool = False,
) -> None:
    """Show the input of a scan and, with `--estimate`, predict its cost without maps (each takes some 20 ms and 35 kB).

    For example: `lensscan plan tiles/ --estimate --units 56000 --workers 64`

    Args:
        tiles: Folder or `s3://` prefix of Euclid MER tiles, or of shards.
        estimate: Measure this machine on the largest unit, then predict time, core hours, bytes and memory.
        units: Number of units to predict for, all like the measured one; by default the number found.
        ensemble: Name or folder; the configured one by default.
        engine: Inference engine; by default the best that this machine has.
        exact: Score every row in float32, as `scan --exact` does.
        workers: Scan actors to predict for; the configured number by default.
        json: Print JSON instead of text.
    """
    from flows.commands.plan import describe_plan
    from flows.terminal import print_json, print_lines

    described = describe_plan(tiles, ensemble, engine, exact=exact, workers=workers, n_units=units, measured=estimate)
    print_json(described) if json else print_lines(described)


@app.command
def query(
    catalogue: str,
    *,
    sql: str | None = None,
    min_p_lens: Fraction | None = None,
    night: date | None = None,
    subclass: Literal["single", "compound_arc", "double_ring"] | None = None,
    limit: Positive | None = None,
    plan: str | None = None,
    all_plans: bool = False,
    json: bool = False,
) -> None:
    """Print candidates of a catalogue, best first, or the result of an SQL query.

    Each object comes once in a night, from the newest scan of its tile.

    For example: `lensscan query catalogue/ --min-p-lens 0.9 --limit 10`

    or: `lensscan query catalogue/ --sql "select night, count(*) as n from candidates group by night"`

    Args:
        catalogue: Folder or `s3://` prefix given to `scan --out`.
        sql: Query over the views `candidates` and `scores` (all rows).
        min_p_lens: Lowest `p_lens` to print; by default the threshold of the scan. Rows below it may have a `p_lens` in
            bfloat16, as their column `precision` says.
        night: Print this night only.
        subclass: Print this subclass only: single, compound_arc or double_ring.
        limit: Largest number of rows; 20 by default, no limit with `--sql`.
        plan: First characters of a plan id: only the rows of this plan, whether newer scans have replaced it or not.
        all_plans: The rows of every plan, so that an object comes once for each plan that holds it.
        json: Print JSON instead of a table.
    """
    from flows.terminal import print_json, print_table
    from scanner.catalogue.query import query as run

    table = run(
        catalogue,
        sql=sql,
        min_p_lens=min_p_lens,
        night=night.isoformat() if night else None,
        subclass=subclass,
        plan=plan,
        all_plans=all_plans,
    )
    shown = table.slice(0, 20 if limit is None and sql is None else limit)
    if json:
        print_json(shown.to_pylist())
    elif sql is not None:
        print_table("", table.column_names, shown.to_pylist())
    else:
        nights = set(table["night"].unique().to_pylist())
        columns = [column for column in CANDIDATE_COLUMNS if column != ("p_compound" if len(nights) > 1 else "night")]
        print_table(f"{shown.num_rows} of {table.num_rows} candidates", columns, shown.to_pylist())


CANDIDATE_COLUMNS = ("candidate_id", "ra", "dec", "tile", "night", "p_lens", "p_compound", "subclass")
"""Columns of which all but one fit 100 characters; `--json` and `--sql` show the rest."""
