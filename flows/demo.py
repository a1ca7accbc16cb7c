"""`lensscan demo`: simulate a small night and scan it."""

from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from flows.scan_night import scan_night
from flows.terminal import print_json, print_lines, print_table, terminal_progress
from infra.ray.cluster import ray_session
from infra.settings import Settings
from scanner.catalogue.query import query
from simulation.actors import simulate_night
from simulation.products.survey_tile import TileSpec

NIGHT = date(2026, 1, 1)
TILES = (
    TileSpec(tile_id="100000001", n_galaxies=240, n_single=12, n_compound=8, seed=11),
    TileSpec(tile_id="100000002", n_galaxies=240, n_single=12, n_compound=8, seed=12),
)
SHOWN = ("candidate_id", "p_lens", "p_compound", "subclass", "truth")


def run_demo(out: Path, *, as_json: bool) -> None:
    """Simulate two tiles under `out`, scan them through the Prefect flow, and print the best candidates."""
    settings = Settings.read()
    tiles, catalogue = str(out / "tiles"), str(out / "catalogue")
    with ray_session(settings.ray_address):
        with terminal_progress("simulating", quiet=as_json) as report:
            simulate_night(TILES, tiles, settings.workers, report)
        summary = scan_night(tiles, catalogue, NIGHT)
    rows = _with_truth(query(catalogue, night=NIGHT.isoformat(), limit=15).to_pylist(), Path(tiles))
    if as_json:
        print_json({**summary.model_dump(), "top": rows})
        return
    print_table(f"Best {len(rows)} of {summary.n_candidates} candidates in {summary.n_rows} galaxies", SHOWN, rows)
    print_lines(
        {
            "tiles": tiles,
            "scores of all rows": f'lensscan query {catalogue} --sql "from scores"',
            "candidate catalogue": summary.candidates_uri,
            "scanned in": f"{summary.seconds:.0f} s",
            "look further": f"lensscan query {catalogue}",
        }
    )


def _with_truth(rows: list[dict[str, Any]], tiles: Path) -> list[dict[str, Any]]:
    """Add the true kind of each object, from the truth tables of the simulated tiles."""
    kinds: dict[int, str] = {}
    for path in sorted(tiles.rglob("truth.parquet")):
        truth = pq.read_table(path, columns=["object_id", "kind"]).to_pydict()
        kinds.update(zip(truth["object_id"], truth["kind"], strict=True))
    return [{**row, "truth": kinds.get(row["object_id"])} for row in rows]
