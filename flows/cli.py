"""The command line. Every command imports what it needs when it runs, so that `--help` answers at once."""

import atexit
import os
import sys
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter, validators

from infra.errors import LensscanError
from infra.telemetry import opt_out

app = App(
    name="lensscan",
    help="Find strong gravitational lenses in survey tiles, compound lenses first.",
    version=lambda: version("lensscan"),
    help_format="markdown",
)
app.register_install_completion_command(help="Install completion for your shell.")
models = App(name="models", help="Ensembles of networks: list, show, import.")
app.command(models)

NotNegative = Annotated[int, Parameter(validator=validators.Number(gte=0))]
Positive = Annotated[int, Parameter(validator=validators.Number(gte=1))]
Fraction = Annotated[float, Parameter(validator=validators.Number(gte=0, lte=1))]


def main() -> None:
    """Entry point: a person's mistake ends in one line and exit code 2, never in a traceback."""
    opt_out()
    # Prefect logs tracebacks of its own; here an error is one line, and JSON has stdout to itself.
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
    code = _run()
    # Arrow's threads may abort a process while it ends (apache/arrow#34314), after all is done and with the wrong exit code.
    # So what wants to be called at the end is called, and then nothing is torn down.
    atexit._run_exitfuncs()  # noqa: SLF001
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


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
def simulate(
    *,
    out: str,
    n: Positive = 1000,
    seed: NotNegative = 1,
    preset: Literal["euclid", "wilde2022"] = "euclid",
    kinds: str | None = None,
    geometry: Literal["challenge", "mer", "mer10"] = "challenge",
    components: bool = False,
    psf: str | None = None,
    workers: Positive | None = None,
    json: bool = False,
) -> None:
    """Write shards of simulated lenses and galaxies with their truth, and a contact sheet to look at.

    Killed and started again, it goes on with the shards that are missing.

    For example: `lensscan simulate --n 1000 --seed 1 --out data/train`
    or: `lensscan simulate --geometry mer --kinds double_ring=1,twin=1,ring_galaxy=2 --n 500 --out data/rings`

    Args:
        out: Folder or `s3://` prefix; shards that are there already are kept.
        n: Objects in all.
        seed: The data set's seed; object i depends on the seed and i alone.
        preset: `euclid`: the population of Collett (2015) among look-alikes, as Euclid sees them; `wilde2022`: the paper's.
        kinds: What to draw, with weights: `single`, `compound_arc`, `double_ring`, `nonlens` (all look-alikes in their shares),
            or a look-alike: `twin` (a lens galaxy without arcs), `elliptical`, `disc`, `spiral`, `ring_galaxy`, `edge_on`,
            `merger`, `companions`, `blue_companions`, `group`, `faint`, `star`, `artefact`. By default half are non-lenses.
        geometry: Pixel grids of the cutouts: 20 arcsec in native pixels (`challenge`), or all bands at 0.1 arcsec with the
            noise of MER (`mer`), or the middle 10 arcsec of those (`mer10`).
        components: Keep the noise-free lens light and each lensed source as columns.
        psf: FITS file with a PSF for each band (such as the cutouts of Euclid's MER have), instead of the model's.
        workers: Simulation actors.
        json: Print JSON instead of text.
    """
    from flows.simulate import simulate as flow
    from flows.terminal import print_json, print_lines

    result = flow(
        out_uri=out,
        n=n,
        seed=seed,
        preset=preset,
        kinds=kinds,
        geometry=geometry,
        components=components,
        psf=psf,
        workers=workers,
    )
    if json:
        print_json(result.model_dump(mode="json"))
        return
    print_lines({"objects": n, "shards": len(result.shards), "folder": out, "contact sheet": result.contact_sheet})


@app.command
def inject(
    images: str,
    *,
    out: str,
    n: Positive = 10,
    seed: NotNegative = 1,
    json: bool = False,
) -> None:
    """Paint simulated arcs about galaxies of real images, to train on, or to measure what a scan finds.

    From a manifest come shards with each cutout twice, as it is and with arcs; from tiles come the same tiles with lenses in
    them. Fluxes follow the zero point (MAGZERO) of each file; pixels must be 0.1 arcsec, as in Euclid MER products.

    For example: `lensscan inject manifest.csv --out data/injected`
    or: `lensscan inject tiles --n 20 --out tiles-with-lenses`

    Args:
        images: Manifest (CSV or Parquet, as for `lensscan score`), or folder or `s3://` prefix of tiles.
        out: Folder or `s3://` prefix; files that are there already are kept.
        n: Lenses in each tile.
        seed: Decides which arcs an object gets, and which galaxies of a tile get any.
        json: Print JSON instead of text.
    """
    from flows.inject import inject as inject_into
    from flows.terminal import print_json, print_lines

    result = inject_into(images, out, n, seed)
    print_json(result) if json else print_lines(result)


@app.command
def train(
    shards: str,
    *,
    out: Path,
    name: str,
    preset: Literal["laptop", "paper"] = "laptop",
    epochs: Positive | None = None,
    json: bool = False,
) -> None:
    """Train the seven networks and their combiner, and write an ensemble package.

    Killed and started again, it goes on from the last epoch.

    For example: `lensscan train data/train --out runs/first --name first`

    Args:
        shards: Folder or `s3://` prefix of shards with truth.
        out: Work folder: checkpoints, histories, learning curves, and the package in `out/NAME`.
        name: Name of the ensemble.
        preset: `paper`: 250 epochs as in Wilde et al. 2022; `laptop`: a few.
        epochs: Instead of the preset's.
        json: Print JSON instead of text.
    """
    from flows.terminal import print_json, print_lines
    from flows.train import train as flow

    result = flow(shards_uri=shards, out=out, name=name, preset=preset, epochs=epochs)
    shown = result.model_dump(mode="json")
    print_json(shown) if json else print_lines(shown)


@models.command(name="list")
def list_models(*, json: bool = False) -> None:
    """The ensembles that can be named with `--ensemble`.

    For example: `lensscan models list`
    """
    from flows.terminal import print_json, print_table
    from infra.settings import Settings
    from scanner.networks.errors import PackageError
    from scanner.networks.locate import list_packages
    from scanner.networks.package import read_card

    rows: list[dict[str, Any]] = []
    for folder in list_packages(Settings.read().ensembles_dir):
        try:
            n_networks: int | str = len(read_card(folder).networks)
        except PackageError:
            n_networks = "damaged"
        rows.append({"name": folder.name, "networks": n_networks, "folder": str(folder)})
    print_json(rows) if json else print_table("Ensembles", ["name", "networks", "folder"], rows)


@models.command(name="show")
def show_model(name: str) -> None:
    """Print the card of an ensemble as JSON: inputs, weights, metrics, limits.

    For example: `lensscan models show ou7-sim`
    """
    from flows.terminal import print_json
    from infra.settings import Settings
    from scanner.networks.locate import find_package
    from scanner.networks.package import read_card

    print_json(read_card(find_package(name, Settings.read().ensembles_dir)).model_dump(mode="json"))


@models.command(name="import-published")
def import_published(folder: Path, *, name: str, json: bool = False) -> None:
    """Turn the seven published `.pt` files of Wilde et al. 2022 into an ensemble package.

    For example: `lensscan models import-published weights/ --name wilde2022`

    Args:
        folder: Folder with `OU_66_Weights.pt` and the six others.
        name: Name to give to `--ensemble` later.
        json: Print JSON instead of text.
    """
    from flows.terminal import print_json, print_lines
    from infra.settings import Settings
    from scanner.networks import published
    from scanner.networks.errors import PackageError
    from scanner.networks.locate import SHIPPED_DIR

    out = Settings.read().ensembles_dir / name
    if name in {path.name for path in SHIPPED_DIR.iterdir()}:
        raise PackageError(f"{name}: a shipped ensemble has that name and would be hidden; choose another")
    card = published.import_published(folder, out, name)
    result = {"ensemble": card.name, "networks": ", ".join(n.name for n in card.networks), "folder": str(out)}
    print_json(result) if json else print_lines(result)


@app.command
def score(
    manifest: str,
    *,
    out: str,
    ensemble: str | None = None,
    batch_size: Positive = 64,
    json: bool = False,
) -> None:
    """Score the cutouts that a manifest names: one row out for every row in, in order.

    For example: `lensscan score manifest.csv --out scores.parquet --ensemble ou7-sim`

    Args:
        manifest: CSV or Parquet with `object_id` and columns VIS, Y, J, H of `URI`, `URI#EXTNAME` or `URI#3`.
        out: Parquet file to write.
        ensemble: Name or folder; the configured one by default.
        batch_size: Cutouts at a time; results do not depend on it.
        json: Print JSON instead of text.
    """
    from flows.scoring import score_to_file
    from flows.terminal import print_json, print_lines, terminal_progress

    with terminal_progress("scoring", quiet=json) as report:
        summary = score_to_file(manifest, out, ensemble, batch_size, report)
    print_json(summary) if json else print_lines(summary)


@app.command
def scan(
    tiles: str,
    *,
    out: str,
    night: date,
    ensemble: str | None = None,
    threshold: Fraction = 0.5,
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
        threshold: Rows with `p_lens` at or above it are candidates.
        workers: Scan actors.
        ray_address: Ray cluster to use, `auto` inside a Ray job; a local one by default.
        json: Print JSON instead of text.
    """
    from flows.terminal import print_json, terminal_progress
    from infra.settings import Settings
    from scanner.catalogue.plan import ScanConfig
    from scanner.networks.locate import find_package
    from scanner.night import scan_night

    settings = Settings.read()
    with terminal_progress("scanning", quiet=json) as report:
        summary = scan_night(
            tiles,
            out,
            night,
            find_package(ensemble or settings.ensemble, settings.ensembles_dir),
            config=ScanConfig(candidate_threshold=threshold),
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
