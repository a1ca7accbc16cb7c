"""The command line. Every command imports what it needs when it runs, so that `--help` answers at once."""

import logging
import os
import sys
from datetime import date
from pathlib import Path
from typing import Any, Literal

import flows.cli.audit
import flows.cli.explain
import flows.cli.models  # noqa: F401 - all three register their commands
from flows.cli.app import AsFlow, Fraction, MapsPerUnit, Positive, app
from flows.cli.interrupt import ends_on_interrupt
from infra.engine_name import EngineName
from infra.errors import LensscanError
from infra.private_apis import run_exit_handlers
from infra.telemetry import opt_out
from scanner.vocabulary.choices import MAPS_PER_UNIT

PREFECT_QUEUES = ("APILogWorker", "EventsWorker")
"""Loggers outside Prefect's own tree: at the end of a flow they warn of items that a busy server has not accepted yet."""


def main() -> None:
    """Run the command line; a user's mistake ends in one line and exit code 2, never in a traceback."""
    with ends_on_interrupt():
        set_up_libraries()
        code = _run()
        # Arrow's threads may abort a process while it exits (apache/arrow#34314), after all work is done, with the wrong exit
        # code. So this function calls the exit handlers itself and skips all further teardown.
        run_exit_handlers()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def set_up_libraries() -> None:
    """Configure libraries before they are imported: no usage reports, and no Prefect logs unless the user asks for them."""
    opt_out()
    # Prefect logs tracebacks of its own; here an error is one line, and stdout carries JSON only.
    if os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL") == "CRITICAL":
        os.environ.setdefault("PREFECT_INTERNAL_LOGGING_LEVEL", "CRITICAL")
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
    except Exception as error:
        if (trouble := _server_trouble(error)) is None:
            raise
        sys.stderr.write(f"lensscan: {trouble}\n")
        return 2
    return 0


def _server_trouble(error: Exception) -> str | None:
    if "prefect" not in sys.modules:
        return None
    from flows.server_errors import server_trouble

    return server_trouble(error)


@app.command
def demo(*, out: Path = Path("demo-output"), flow: AsFlow = False, json: bool = False) -> None:
    """Simulate a small survey night, scan it, and show the best candidates.

    For example: `lensscan demo --out demo-output`

    Args:
        out: Folder for tiles and catalogue; a second run continues where the first stopped.
        flow: Scan as a Prefect flow.
        json: Print JSON instead of tables.
    """
    from flows.demo import run_demo

    run_demo(out, as_flow=flow, as_json=json)


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
    night: date,
    ensemble: str | None = None,
    threshold: Fraction | None = None,
    engine: EngineName | None = None,
    exact: bool = False,
    second: str | None = None,
    second_above: Fraction | None = None,
    maps: MapsPerUnit = MAPS_PER_UNIT,
    workers: Positive | None = None,
    ray_address: str | None = None,
    flow: AsFlow = False,
    json: bool = False,
) -> None:
    """Scan a folder or prefix of tiles (or shards) into a candidate catalogue.

    Units that the catalogue already holds are not scanned again: repeat the command at any time, also after a crash.

    For example: `lensscan scan tiles/ --out catalogue/ --night 2026-11-24`

    Args:
        tiles: Folder or `s3://` prefix of Euclid MER tiles, or of shards.
        out: Folder or `s3://` prefix of the catalogue.
        night: Night that the rows carry.
        ensemble: Name or folder; the configured one by default.
        threshold: Rows with `p_lens` at or above it are candidates; by default twice the prevalence that the ensemble assumes.
        engine: Inference engine; by default the best that a worker has.
        exact: Score every row in float32. By default, where that is faster, rows are scored in bfloat16, and only those that
            could be candidates in float32; candidates and their numbers are the same.
        second: Second ensemble, by name or folder, which scores the rows whose first `p_lens` reaches `second_above`.
        second_above: Threshold of the first ensemble's `p_lens`; by default that of candidates.
        maps: Number of candidates of a unit, best first, stored with attribution maps; at most 1000, 0 for none.
        workers: Scan processes.
        ray_address: Ray cluster to use, `auto` inside a Ray job, `local` for a private one; by default up to 10 000 rows are
            scanned without Ray, and more on a private one.
        flow: Scan as a Prefect flow, whose server shows progress and summary.
        json: Print JSON instead of text.
    """
    from flows.terminal import print_json

    options: dict[str, Any] = {
        "ensemble": ensemble,
        "candidate_threshold": threshold,
        "workers": workers,
        "engine": engine,
        "exact": exact,
        "second": second,
        "second_above": second_above,
        "maps_per_unit": maps,
        "ray_address": ray_address,
    }
    if flow:
        from flows.scan_night import scan_night

        summary = scan_night(tiles, out, night, **options)
    else:
        from flows.commands.scan import scan_tiles
        from flows.terminal import terminal_progress

        with terminal_progress("scanning", quiet=json) as report:
            summary = scan_tiles(tiles, out, night, progress=report, **options)
    print_json(summary.model_dump()) if json else _print_summary(summary)


def _print_summary(summary: Any) -> None:
    from flows.terminal import print_lines

    counts = {f"rows {status}": n for status, n in summary.rows_by_status.items()}
    units = ", ".join(f"{n} {outcome}" for outcome, n in summary.units_by_outcome.items())
    note = "" if set(summary.units_by_outcome) != {"already_committed"} else " (nothing to do)"
    lines = {"night": summary.night, "ensemble": summary.ensemble, "units": units + note, **counts}
    print_lines({**lines, "candidates": summary.n_candidates, "catalogue": summary.candidates_uri, "seconds": summary.seconds})


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
    min_p_lens: Fraction = 0.0,
    night: date | None = None,
    subclass: Literal["single", "compound_arc", "double_ring"] | None = None,
    limit: Positive | None = None,
    json: bool = False,
) -> None:
    """Print candidates of a catalogue, best first, or the result of an SQL query.

    For example: `lensscan query catalogue/ --min-p-lens 0.9 --limit 10`

    or: `lensscan query catalogue/ --sql "select night, count(*) as n from candidates group by night"`

    Args:
        catalogue: Folder or `s3://` prefix given to `scan --out`.
        sql: Query over the views `candidates` and `scores` (all rows).
        min_p_lens: Lowest `p_lens` to print.
        night: Print this night only.
        subclass: Print this subclass only: single, compound_arc or double_ring.
        limit: Largest number of rows; 20 by default, no limit with `--sql`.
        json: Print JSON instead of a table.
    """
    from flows.terminal import print_json, print_table
    from scanner.catalogue.query import query as run

    limit = 20 if limit is None and sql is None else limit
    table = run(
        catalogue, sql=sql, min_p_lens=min_p_lens, night=night.isoformat() if night else None, subclass=subclass, limit=limit
    )
    if json:
        print_json(table.to_pylist())
        return
    shown = table.column_names if sql else [c for c in CANDIDATE_COLUMNS if c in table.column_names]
    print_table(f"{table.num_rows} candidates" if not sql else "", shown, table.to_pylist())


CANDIDATE_COLUMNS = ("candidate_id", "night", "p_lens", "p_compound", "subclass")
"""Columns that fit a terminal; `--json` and `--sql` show the rest."""
