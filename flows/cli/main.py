"""The command line. Every command imports what it needs when it runs, so that `--help` answers at once."""

import atexit
import logging
import os
import sys
from datetime import date
from pathlib import Path
from typing import Any, Literal

import flows.cli.audit
import flows.cli.explain
import flows.cli.models  # noqa: F401 - all three register their commands
from flows.cli.app import Engine, Fraction, MapsPerUnit, Positive, app
from infra.errors import LensscanError
from infra.telemetry import opt_out

PREFECT_QUEUES = ("APILogWorker", "EventsWorker")
"""Loggers outside Prefect's own tree: at the end of a flow they warn of what a busy server has not taken yet."""


def main() -> None:
    """Entry point: a person's mistake ends in one line and exit code 2, never in a traceback."""
    set_up_libraries()
    code = _run()
    # Arrow's threads may abort a process while it ends (apache/arrow#34314), after all is done and with the wrong exit code.
    # So what wants to be called at the end is called, and then nothing is torn down.
    atexit._run_exitfuncs()  # noqa: SLF001
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def set_up_libraries() -> None:
    """Before they are imported: they send no usage reports, and Prefect logs only what a person asked for."""
    opt_out()
    # Prefect logs tracebacks of its own; here an error is one line, and JSON has stdout to itself.
    if os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL") == "CRITICAL":
        for name in PREFECT_QUEUES:
            logging.getLogger(name).setLevel(logging.CRITICAL)


def _run() -> int:
    """Run the command; its exit code."""
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
        sys.stderr.write("lensscan: stopped; run the same command again to go on\n")
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
        out: Folder for tiles and catalogue; a second run goes on where the first stopped.
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
    engine: Engine | None = None,
    json: bool = False,
) -> None:
    """Score the cutouts that a manifest names: one row out for every row in, in order.

    For example: `lensscan score manifest.csv --out scores.parquet --ensemble mer3-sim`

    Args:
        manifest: CSV or Parquet with `object_id` and columns VIS, Y, J, H of `URI`, `URI#EXTNAME` or `URI#3`.
        out: Parquet file to write.
        ensemble: Name or folder; the configured one by default.
        batch_size: Cutouts at a time; results do not depend on it.
        engine: What runs the networks, in float32; by default the best that this machine has.
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
    engine: Engine | None = None,
    exact: bool = False,
    second: str | None = None,
    second_above: Fraction | None = None,
    maps: MapsPerUnit = 100,
    workers: Positive | None = None,
    ray_address: str | None = None,
    json: bool = False,
) -> None:
    """Scan a folder or prefix of tiles (or shards) into a candidate catalogue.

    What the catalogue holds already is not scanned again: run it twice, or again after a crash.

    For example: `lensscan scan tiles/ --out catalogue/ --night 2026-11-24`

    Args:
        tiles: Folder or `s3://` prefix of Euclid MER tiles, or of shards.
        out: Folder or `s3://` prefix of the catalogue.
        night: Night that the rows carry.
        ensemble: Name or folder; the configured one by default.
        threshold: Rows with `p_lens` at or above it are candidates; by default twice the prevalence that the ensemble assumes.
        engine: What runs the networks; by default the best that a worker has.
        exact: Score every row in float32. By default only rows that could be candidates are, and others in bfloat16 where that
            is faster; candidates and their numbers are the same.
        second: Ensemble, by name or folder, to be asked about the rows that the first finds likely enough.
        second_above: Least `p_lens` of those rows; by default that of candidates.
        maps: Candidates of a unit, best first, that are stored with maps that say why; at most 1000, 0 for none.
        workers: Scan actors.
        ray_address: Ray cluster to use, `auto` inside a Ray job; a local one by default.
        json: Print JSON instead of text.
    """
    from flows.terminal import print_json, terminal_progress
    from infra.settings import Settings
    from scanner.networks.locate import find_package
    from scanner.workers.run import scan_night

    settings = Settings.read()
    with terminal_progress("scanning", quiet=json) as report:
        summary = scan_night(
            tiles,
            out,
            night,
            find_package(ensemble or settings.ensemble, settings.ensembles_dir),
            candidate_threshold=threshold,
            engine=engine or settings.engine,
            exact=exact,
            second=find_package(second, settings.ensembles_dir) if second else None,
            second_above=second_above,
            maps_per_unit=maps,
            workers=workers or settings.workers,
            ray_address=ray_address or settings.ray_address,
            progress=report,
        )
    print_json(summary.model_dump()) if json else _print_summary(summary)


def _print_summary(summary: Any) -> None:
    from flows.terminal import print_lines

    counts = {f"rows {status}": n for status, n in summary.rows_by_status.items()}
    units = ", ".join(f"{n} {outcome}" for outcome, n in summary.units_by_outcome.items())
    nothing = "" if set(summary.units_by_outcome) != {"already_committed"} else " (nothing to do)"
    lines = {"night": summary.night, "ensemble": summary.ensemble, "units": units + nothing, **counts}
    print_lines({**lines, "candidates": summary.n_candidates, "catalogue": summary.candidates_uri, "seconds": summary.seconds})


@app.command
def plan(
    tiles: str,
    *,
    estimate: bool = False,
    units: Positive | None = None,
    ensemble: str | None = None,
    engine: Engine | None = None,
    exact: bool = False,
    workers: Positive | None = None,
    json: bool = False,
) -> None:
    """Show what a scan would read and, with `--estimate`, what it would cost without maps (each takes some 20 ms and 35 kB).

    For example: `lensscan plan tiles/ --estimate --units 56000 --workers 64`

    Args:
        tiles: Folder or `s3://` prefix of Euclid MER tiles, or of shards.
        estimate: Measure this machine on the largest unit, then predict time, core hours, bytes and memory.
        units: Units to predict for, all of them like the measured one; by default those that are there.
        ensemble: Name or folder; the configured one by default.
        engine: What runs the networks; by default the best that this machine has.
        exact: As in `scan`.
        workers: Scan actors to predict for; the configured number by default.
        json: Print JSON instead of text.
    """
    from flows.commands.plan import describe_plan
    from flows.terminal import print_json, print_lines

    found = describe_plan(tiles, ensemble, engine, exact=exact, workers=workers, n_units=units, measured=estimate)
    print_json(found) if json else print_lines(found)


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
    """Print candidates of a catalogue, best first, or the answer to your SQL.

    For example: `lensscan query catalogue/ --min-p-lens 0.9 --limit 10`

    or: `lensscan query catalogue/ --sql "select night, count(*) as n from candidates group by night"`

    Args:
        catalogue: Folder or `s3://` prefix given to `scan --out`.
        sql: A query over the views `candidates` and `scores` (all rows).
        min_p_lens: Least probability.
        night: One night only.
        subclass: One subclass only: single, compound_arc or double_ring.
        limit: Rows at most; 20 by default, all of them with `--sql`.
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
"""What fits a terminal; `--json` and `--sql` have the rest."""
