"""`lensscan demo`: simulate a small night and scan it."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from flows.commands.scan import scan_tiles
from flows.commands.scan_options import ScanOptions
from flows.commands.simulate import tile_specs
from flows.ensembles import chosen_package
from flows.terminal import print_json, print_lines, print_table, terminal_progress
from infra.settings import Settings
from infra.store.storage import check_folder
from scanner.catalogue.query import query
from scanner.catalogue.wanted import Wanted
from scanner.explain.candidate_sheet import write_candidate_sheet
from scanner.networks.card_file import read_card
from scanner.vocabulary.prior import prior_text
from scanner.workers.local import early_worker
from scanner.workers.run import NightSummary
from simulation.run import simulate_night

TILES = tile_specs(2, 11)
N_DRAWN = 8
"""Number of candidates in the picture."""
SHOWN = ("candidate_id", "p_lens", "p_compound", "subclass", "truth")


def run_demo(out: Path, *, as_flow: bool, as_json: bool) -> None:
    """Simulate two tiles under `out`, scan them, as a Prefect flow if asked, and print the best candidates.

    Raises:
        StorageError: `out` is a file, or a path through a file.
    """
    check_folder(str(out))
    settings = Settings.read()
    tiles, catalogue = str(out / "tiles"), str(out / "catalogue")
    with terminal_progress("simulating", quiet=as_json) as report:
        simulate_night(TILES, tiles, settings.workers, report, settings.ray_address)
    summary = scanned(tiles, catalogue, as_flow=as_flow, quiet=as_json)
    rows = _with_truth(query(catalogue, Wanted(limit=15), maps=True).to_pylist(), Path(tiles))
    picture = out / "best.png"
    write_candidate_sheet(rows[:N_DRAWN], picture)
    if as_json:
        top = [{name: row[name] for name in SHOWN} for row in rows]
        print_json({**summary.model_dump(), "top": top, "picture": str(picture)})
        return
    print_table(f"Best {len(rows)} of {summary.n_candidates} candidates in {summary.n_rows} galaxies", SHOWN, rows)
    print_lines(
        {
            "tiles": tiles,
            "scores of all rows": f'lensscan query {catalogue} --sql "from scores"',
            "candidate catalogue": summary.candidates_uri,
            "scanned in": f"{summary.seconds:.0f} s",
            "prior of p_lens": prior_text(read_card(chosen_package(None)).assumed_prevalence),
            "look further": f"lensscan query {catalogue}",
            "grade them": f"lensscan vet {catalogue}",
            "picture of the best": picture,
        }
    )


def scanned(tiles: str, catalogue: str, *, as_flow: bool, quiet: bool) -> NightSummary:
    """Scan tiles into a catalogue with default settings."""
    if as_flow:
        from flows.scan_night import scan_night

        return scan_night(tiles, catalogue, "none")
    with early_worker() as early, terminal_progress("scanning", quiet=quiet) as report:
        return scan_tiles(tiles, catalogue, None, ScanOptions(), progress=report, early=early)


def _with_truth(rows: list[dict[str, Any]], tiles: Path) -> list[dict[str, Any]]:
    """Add the true kind of each object, from the truth tables of the simulated tiles."""
    kinds: dict[int, str] = {}
    for path in sorted(tiles.rglob("truth.parquet")):
        truth = pq.read_table(path, columns=["object_id", "kind"]).to_pydict()
        kinds.update(zip(truth["object_id"], truth["kind"], strict=True))
    return [{**row, "truth": kinds.get(row["object_id"])} for row in rows]
