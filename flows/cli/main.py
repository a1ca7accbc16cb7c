"""The command line. Every command imports what it needs when it runs, so that `--help` answers at once."""

import logging
import os
import select
import sys
from contextlib import nullcontext
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from cyclopts import CycloptsError, Parameter

import flows.cli.audit
import flows.cli.candidates
import flows.cli.completeness
import flows.cli.crossmatch
import flows.cli.doctor
import flows.cli.drift
import flows.cli.evaluate
import flows.cli.explain
import flows.cli.forget
import flows.cli.models
import flows.cli.publish
import flows.cli.quality
import flows.cli.repair
import flows.cli.report
import flows.cli.reproduce
import flows.cli.simulate
import flows.cli.surveys
import flows.cli.textures
import flows.cli.train
import flows.cli.vet
import flows.cli.votes
import flows.cli.yields
import flows.cli.zooniverse  # noqa: F401 - all of them register their commands
from flows.cli.app import AboveZero, AsFlow, FractionOrCut, LocalPath, MapsPerUnit, Positive, app
from flows.cli.arguments import complain, prepared, told
from flows.cli.interrupt import ends_on_interrupt
from flows.cli.mistakes import one_line_about
from flows.cli.tiles import ALL_TILES, TileOptions, flow_options, input_uri, selection
from infra.engine_name import EngineName
from infra.errors import LensscanError
from infra.private_apis import arrow_without_pandas, run_exit_handlers
from infra.telemetry import opt_out
from scanner.vocabulary.choices import MAPS_PER_UNIT

PREFECT_QUEUES = ("APILogWorker", "EventsWorker")
"""Loggers outside Prefect's own tree: at the end of a flow they warn of items that a busy server has not accepted yet."""

CLOSED_PIPE = 1
"""Exit code of a command whose reader closes the pipe; rich ends a command with the same code."""


def main() -> None:
    """Run the command line; a user's mistake ends in one line and exit code 2, never in a traceback."""
    with ends_on_interrupt():
        set_up_libraries()
        sys.argv[1:] = prepared(sys.argv[1:])
        code = _run()
        # Arrow's threads may abort a process while it exits (apache/arrow#34314), after all work is done, with the wrong exit
        # code. So this function calls the exit handlers itself and skips all further teardown.
        run_exit_handlers()
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            code = CLOSED_PIPE
        sys.stderr.flush()
        os._exit(code)


def _reader_has_left() -> bool:
    """Return whether the reader of this command's output, such as `head`, has closed the pipe; sockets of a store break too."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return bool(poll.poll(0))


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
        with told():
            app()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except (CycloptsError, LensscanError) as error:
        complain(one_line_about(error) if isinstance(error, CycloptsError) else str(error))
        return 2
    except OSError as error:
        if isinstance(error, BrokenPipeError) and _reader_has_left():
            return CLOSED_PIPE
        name = f"{error.filename}: " if error.filename else ""
        complain(f"{name}{error.strerror or error}")
        return 2
    except Exception as error:
        if (trouble := _server_trouble(error)) is None:
            raise
        complain(trouble)
        return 2
    return 0


def _server_trouble(error: Exception) -> str | None:
    if "prefect" not in sys.modules:
        return None
    from flows.server_errors import server_trouble

    return server_trouble(error)


@app.command
def demo(*, out: LocalPath = Path("demo-output"), flow: AsFlow = False, json: bool = False) -> None:
    """Simulate a small survey night, scan it, and show the best candidates.

    For example: `lensscan demo --out demo-output`

    Args:
        out: Folder for tiles and catalogue; a second run continues where the first stopped.
        flow: Scan as a Prefect flow.
        json: Print JSON instead of tables.
    """
    from flows.demo import run_demo

    arrow_without_pandas()
    run_demo(out, as_flow=flow, as_json=json)


@app.command
def score(
    *images: str,
    out: str | None = None,
    tiles: str | None = None,
    survey: str | None = None,
    bands: str | None = None,
    ensemble: str | None = None,
    batch_size: Positive = 64,
    engine: EngineName | None = None,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Score cutouts, one row for each object: FITS files, folders of them, or the objects of a manifest.

    The bands of FITS files are guessed from the names of their extensions, from FILTER in their headers, or from the names of
    files that hold one band each; the output says how. With `--tiles`, the program cuts the objects of a table of positions out
    of tiles.

    The exit code is 1 if no object was scored.

    For example: `lensscan score a.fits b.fits`
    or: `lensscan score manifest.csv --out scores.parquet --ensemble mer3-sim`
    or: `lensscan score positions.csv --tiles q1/ --out scores.csv`
    or: `lensscan score stamps.npy --bands VIS,Y,J,H`

    Args:
        images: FITS files, folders of FITS files, and manifests: CSV or Parquet with `object_id` and columns VIS, Y, J, H of
            `URI`, `URI#EXTNAME` or `URI#3`, or with a column `file` instead of these. With `--bands`, arrays (`.npy`, `.npz`)
            and FITS cubes. With `--tiles`, a table with RA and Dec in degrees: CSV, Parquet, FITS or VOTable.
        out: File to write, which ends in .parquet, .csv, .fits or .vot; without it, the best objects are shown only.
        tiles: Folder or `s3://` prefix of tiles that hold the positions.
        survey: Survey that the tiles are of: a name of `lensscan surveys`, or a TOML file that describes it.
        bands: Bands of the planes of arrays and FITS cubes, in order, separated by commas. Pixels of arrays are 0.1 arcsec;
            the header of a cube tells its own.
        ensemble: Name or folder; the configured one by default.
        batch_size: Number of cutouts scored at a time; results do not depend on this number.
        engine: Inference engine, in float32; by default the best that this machine has.
        overwrite: Replace the file of `--out` if it holds scores.
        json: Print JSON instead of text; without `--out`, with all columns of all rows.
    """
    from flows.cli.score_output import print_scores
    from flows.commands.score import score_images
    from flows.terminal import print_json, terminal_progress

    with terminal_progress("scoring", quiet=json) as report:
        summary = score_images(images, out, tiles, ensemble, batch_size, report, engine, survey, bands, overwrite=overwrite)
    print_json(summary) if json else print_scores(summary)
    if not summary["scored"]:
        raise SystemExit(1)


@app.command
def scan(
    tiles: str | None = None,
    *,
    out: str,
    chosen: TileOptions = ALL_TILES,
    night: date | None = None,
    ensemble: str | None = None,
    threshold: FractionOrCut | None = None,
    engine: EngineName | None = None,
    exact: bool = False,
    maps: MapsPerUnit = MAPS_PER_UNIT,
    workers: Positive | None = None,
    ray_address: str | None = None,
    publish_to: str | None = None,
    completeness: Positive | None = None,
    gate: Annotated[bool, Parameter(negative=())] = False,
    flow: AsFlow = False,
    json: bool = False,
) -> None:
    """Scan a folder or prefix of tiles (or shards) into a candidate catalogue.

    Tiles that the catalogue already holds are not scanned again: repeat the command at any time, also after a crash. A scan
    with another ensemble, option or program version replaces the earlier one: readers see each object once.

    The exit code is 1 if a tile could not be scanned: its catalogue or its mosaics are missing or damaged. The others are.

    For example: `lensscan scan tiles/ --out catalogue/ --night 2026-11-24`
    or: `lensscan scan --release q1 --region 269.7 66.1 0.5 --out catalogue/`
    or: `lensscan scan patches/ --survey hsc-pdr3 --out catalogue/`

    Args:
        tiles: Folder or `s3://` prefix of tiles, those of Euclid MER unless `--survey` says otherwise, or of shards.
        chosen: The release, and the tiles to take.
        out: Folder or `s3://` prefix of the catalogue.
        night: Date, for a survey that is scanned night by night: each night is a part of the catalogue, and its tiles may come
            again in another night. Leave it out for a release such as Euclid Q1, which has no nights.
        ensemble: Name or folder; the configured one by default.
        threshold: Smallest `p_lens` of the candidates: a number, or one of the ensemble's cuts. `list`, the default, gives as
            many candidates as a team can look at; `deep` loses few lenses, and its list is long. A threshold of at least
            `deep` scans nothing again. A lower one does, because only what may be a candidate is scored in float32 and has
            maps.
        engine: Inference engine; by default the best that a worker has.
        exact: Score every row in float32. By default, where that is faster, rows are scored in bfloat16, and only those that
            could be candidates in float32; candidates and their numbers are the same.
        maps: Number of candidates of a unit, best first, stored with attribution maps; at most 1000, 0 for none.
        workers: Scan processes; by default the setting `workers`, else one for each core of the cluster or of this machine.
        ray_address: Ray cluster to use, `auto` inside a Ray job, `local` for a private one; by default up to 10 000 rows are
            scanned without Ray, and more on a private one.
        publish_to: Folder or `s3://` prefix of a HATS collection, outside the catalogue, in which the whole catalogue is
            published after the scan, as by `lensscan publish`.
        completeness: Number of simulated lenses to inject into the night after the scan, as by `lensscan completeness`, to
            measure which share of them it finds; by default none.
        gate: Keep the night from readers, and out of `--publish-to`, until `lensscan qa` has judged it and `lensscan promote`
            shows it. A night that was scanned so stays so without the option.
        flow: Scan as a Prefect flow, whose server shows progress and summary.
        json: Print JSON instead of text.
    """
    from flows.terminal import print_json, print_lines

    uri = input_uri(tiles, chosen, out, publish_to)
    options: dict[str, Any] = {
        "ensemble": ensemble,
        "candidate_threshold": threshold,
        "workers": workers,
        "engine": engine,
        "exact": exact,
        "maps_per_unit": maps,
        "ray_address": ray_address,
        "publish_to": publish_to,
        "completeness": completeness,
        "gate": gate,
    }
    if flow:
        from flows.scan_night import scan_night

        summary: Any = scan_night(uri, out, night or "none", **flow_options(chosen), **options)
    else:
        from scanner.workers.local import early_worker

        with early_worker() if ray_address is None else nullcontext() as early:
            # Imported here: the worker imports its libraries meanwhile.
            from flows.commands.scan import scan_tiles
            from flows.commands.scan_options import ScanOptions
            from flows.terminal import terminal_progress

            arrow_without_pandas()
            asked = ScanOptions(survey=chosen.survey, **options)
            with terminal_progress("scanning", quiet=json) as report:
                summary = scan_tiles(uri, out, night, asked, progress=report, selection=lambda: selection(chosen), early=early)
    if json:
        print_json(summary.model_dump())
    else:
        from flows.commands.scan_text import scan_lines

        print_lines(scan_lines(summary))
    if summary.tiles_left_out or summary.tiles_rejected:
        raise SystemExit(1)


@app.command
def plan(
    tiles: str | None = None,
    *,
    chosen: TileOptions = ALL_TILES,
    estimate: bool = False,
    units: Positive | None = None,
    ensemble: str | None = None,
    threshold: FractionOrCut | None = None,
    engine: EngineName | None = None,
    exact: bool = False,
    maps: MapsPerUnit = MAPS_PER_UNIT,
    workers: Positive | None = None,
    price_per_core_hour: AboveZero | None = None,
    json: bool = False,
) -> None:
    """Show the input of a scan and, with `--estimate`, predict its cost and how many candidates it finds.

    For example: `lensscan plan tiles/ --estimate --units 56000 --workers 64`

    Args:
        tiles: Folder or `s3://` prefix of tiles, those of Euclid MER unless `--survey` says otherwise, or of shards.
        chosen: The release, and the tiles to take.
        estimate: Measure this machine on the largest unit, then predict time, core hours, download, memory and candidates.
        units: Number of units to predict for, all like the measured one; by default the units found.
        ensemble: Name or folder; the configured one by default.
        threshold: Rows with `p_lens` at or above it are candidates: a number, `list`, the default, or `deep`, as for `scan`.
        engine: Inference engine; by default the best that this machine has.
        exact: Score every row in float32, as `scan --exact` does.
        maps: Number of candidates of a unit that get maps, as for `scan`.
        workers: Scan processes to predict for; the configured number by default.
        price_per_core_hour: Price of an hour of one core, in any currency, to predict the cost of computing.
        json: Print JSON instead of text.
    """
    from flows.commands.plan import describe_plan
    from flows.commands.plan_text import plan_text
    from flows.terminal import print_json, printable

    report = describe_plan(
        input_uri(tiles, chosen),
        ensemble,
        engine,
        measured=estimate,
        exact=exact,
        threshold=threshold,
        maps=maps,
        workers=workers,
        n_units=units,
        price_per_core_hour=price_per_core_hour,
        selection=selection(chosen),
        survey=chosen.survey,
    )
    print_json(report.to_json()) if json else sys.stdout.write(printable(plan_text(report)))
