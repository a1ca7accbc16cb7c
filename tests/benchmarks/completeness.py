"""Compare the completeness that injections foretell with the truth of a simulated survey whose lenses were drawn another way.

    python -m tests.benchmarks.completeness --out FOLDER

The survey is a night of tiles in which whole lenses, with their own galaxies, groups and the tile's own PSF, are among other
galaxies: once with other draws of the preset `euclid`, and once with the preset `broad`, whose lenses are more varied. As on
the sky, galaxies like those of the lenses are mostly no lenses: there are twice as many without arcs as with them. The night
is scanned, and `inject_into_night` measures it. Each cell of kind, Einstein radius and S/N (also for all radii, or all S/N)
with at least 30 true lenses is compared: `Sample.of_population` foretells its completeness from the properties of its lenses
but not from whether they were found. The number found must lie in the 95 % interval of that forecast: a beta-binomial
distribution, since a cell of 30 lenses scatters, too. Lenses whose properties no injection had are left out, and counted.
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from scipy.stats import betabinom

from infra.settings import Settings
from scanner.catalogue.injected import Injected
from scanner.completeness import EDGES, CompletenessError, Sample
from scanner.networks.locate import find_package
from scanner.review.opened import Catalogue
from scanner.scan.request import ScanRequest
from scanner.workers.run import scan_night
from simulation.injection.night import NightInjection, inject_into_night
from simulation.products.survey_tile import TRUTH_FILE, TileSpec
from simulation.run import simulate_night
from tests.circumstances import commit

N_TILES, N_GALAXIES, N_ARCLESS, N_SINGLE, N_COMPOUND, SIDE_PIXELS = 8, 550, 150, 50, 24, 2200
"""Numbers of a tile; its galaxies are many, so that hardly any host is a lens that the scan missed."""
N_INJECTED, SURVEY_SEED, INJECTION_SEED = 800, 7261, 11
RESULTS = Path(__file__).with_name("COMPLETENESS.md")
INTRODUCTION = """# Completeness that injections foretell, beside the truth

Written by `tests/benchmarks/completeness.py`, commit {:.12}: nights of {} tiles, each with {} plain galaxies, in which {}
lenses were injected; {} workers. A line is a cell: how many of the true lenses were found; the share that the injected lenses
foretell, with its 95 % interval and the number of injected lenses that it is worth; and between which numbers the found one
must lie.

"""
PRESETS = ("euclid", "broad")
MIN_LENSES = 30
"""Smallest number of true lenses of a cell that is compared."""
LEVEL = 0.95
TRUTH_NAMES = {"einstein_radius_arcsec": "einstein_radius1_arcsec", "arc_snr": "arc_snr"}
"""Truth column of each property by which completeness is foretold; further ones need more than 300 injected lenses, or half of
the true ones have no injected ones near."""


def main() -> None:
    """Run the benchmark and write its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of tiles and catalogues; a killed run goes on")
    parser.add_argument("--results", type=Path, help="file to write; by default COMPLETENESS.md beside this file")
    parser.add_argument("--preset", choices=PRESETS, action="append")
    parser.add_argument("--tiles", type=int, default=N_TILES)
    parser.add_argument("--n", type=int, default=N_INJECTED)
    parser.add_argument("--galaxies", type=int, default=N_GALAXIES)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    size = (given.tiles, given.galaxies, given.n, given.workers)
    figures = {preset: measure(preset, given.out / preset, *size) for preset in given.preset or PRESETS}
    (given.out / "figures.json").write_text(json.dumps(figures, indent=1))
    surveys = "\n\n".join(f"```text\n{text_of(preset, found)}\n```" for preset, found in figures.items())
    (given.results or RESULTS).write_text(INTRODUCTION.format(commit(), *size) + surveys + "\n")


def measure(preset: str, folder: Path, n_tiles: int, n_galaxies: int, n_injected: int, workers: int) -> dict[str, Any]:
    """Simulate, scan and inject, and return the cells; what is there already is kept."""
    start = time.process_time()
    tiles, root = str(folder / "tiles"), str(folder / "catalogue")
    specs = [
        TileSpec(
            tile_id=f"{102_400_000 + number}",
            n_galaxies=n_galaxies,
            n_single=N_SINGLE,
            n_compound=N_COMPOUND,
            n_arcless=N_ARCLESS,
            side_pixels=SIDE_PIXELS,
            seed=SURVEY_SEED,
            preset=preset,
        )
        for number in range(n_tiles)
    ]
    simulate_night(specs, tiles, workers)
    settings = Settings.read()
    package = find_package(settings.ensemble, settings.ensembles_dir)
    scan_night(ScanRequest(input_uri=tiles, package=package, maps_per_unit=0, engine=settings.engine), root, workers=workers)
    wanted = NightInjection(root, "undated", n=n_injected, seed=INJECTION_SEED, most_units=n_tiles, engine=settings.engine)
    injected, _ = inject_into_night(wanted, lambda name: find_package(name, settings.ensembles_dir), workers)
    lenses = [row for path in sorted(folder.glob(f"tiles/*/{TRUTH_FILE}")) for row in pq.read_table(path).to_pylist()]
    lenses = [row for row in lenses if row["kind"] != "nonlens"]
    cells, n_outside = compared(injected, lenses, p_lens_of(root))
    return {"n_lenses": len(lenses), "n_outside": n_outside, "cells": cells, "cpu_s": round(time.process_time() - start)}


def p_lens_of(root: str) -> dict[int, float]:
    """Return the `p_lens` of every scored object by its id."""
    rows = Catalogue(root).scores().to_arrow().select(["object_id", "p_lens"]).to_pylist()
    return {row["object_id"]: row["p_lens"] for row in rows if row["p_lens"] is not None}


def compared(
    injected: Injected, lenses: Sequence[Mapping[str, Any]], p_lens: Mapping[int, float]
) -> tuple[list[dict[str, Any]], int]:
    """Return the cells with enough lenses, and the number of lenses outside the range that was injected."""
    sample, threshold = injected.sample(), injected.arguments.threshold
    usable = [row for row in lenses if row["object_id"] in p_lens and _is_foretold(sample, row)]
    cells = []
    kinds = dict.fromkeys(row["kind"] for row in lenses)
    ranges = {name: [*pairwise(edges), (edges[0], edges[-1])] for name, edges in EDGES.items()}
    for kind, *chosen in product(kinds, *ranges.values()):
        bounds = dict(zip(EDGES, chosen, strict=True))
        rows = [row for row in usable if row["kind"] == kind and all(_is_in(row, name, b) for name, b in bounds.items())]
        if len(rows) >= MIN_LENSES:
            found = sum(p_lens[row["object_id"]] >= threshold for row in rows)
            cells.append({"kind": kind, **bounds, **cell_of(sample, kind, rows, found)})
    return cells, len(lenses) - len(usable)


def cell_of(sample: Sample, kind: str, rows: Sequence[Mapping[str, Any]], found: int) -> dict[str, Any]:
    """Compare the number of lenses of a cell that were found with the forecast."""
    told = sample.of_population(kind, {name: [row[of] for row in rows] for name, of in TRUTH_NAMES.items()})
    n = len(rows)
    low, high = limits(told.value, told.n, n)
    return {
        "n": n,
        "found": found,
        "foretold": round(told.value, 3),
        "low": round(told.low, 3),
        "high": round(told.high, 3),
        "n_effective": round(told.n, 1),
        "least_found": low,
        "most_found": high,
        "is_within": low <= found <= high,
    }


def limits(value: float, n_effective: float, n: int) -> tuple[int, int]:
    """Return the 95 % interval of the number found among n, if `value` of `n_effective` injected objects were."""
    posterior = betabinom(n, value * n_effective + 0.5, (1 - value) * n_effective + 0.5)
    tail = (1 - LEVEL) / 2
    return int(posterior.ppf(tail)), int(posterior.ppf(1 - tail))


def text_of(preset: str, found: Mapping[str, Any]) -> str:
    """Return the figures of a survey as text."""
    cells = found["cells"]
    lines = [
        f"{cell['kind']:13} radius {_range(cell['einstein_radius_arcsec']):9} S/N {_range(cell['arc_snr']):8} "
        f"found {cell['found']:3} of {cell['n']:3} = {cell['found'] / cell['n']:.2f}, foretold {cell['foretold']:.2f} "
        f"({cell['low']:.2f}-{cell['high']:.2f}, worth {cell['n_effective']:.0f}): {cell['least_found']}-{cell['most_found']} "
        f"{'' if cell['is_within'] else 'MISSED'}"
        for cell in cells
    ]
    n_within = sum(cell["is_within"] for cell in cells)
    head = (
        f"{preset}: {n_within} of {len(cells)} cells within, {found['n_lenses']} lenses, {found['n_outside']} outside the range"
    )
    return "\n".join([head, *lines])


def _is_foretold(sample: Sample, row: Mapping[str, Any]) -> bool:
    try:
        sample.at(row["kind"], **{name: row[of] for name, of in TRUTH_NAMES.items()})
    except CompletenessError:
        return False
    return True


def _is_in(row: Mapping[str, Any], name: str, bounds: tuple[float, float]) -> bool:
    return bool(bounds[0] <= row[TRUTH_NAMES[name]] < bounds[1])


def _range(bounds: tuple[float, float]) -> str:
    return f"{bounds[0]:g}-{bounds[1]:g}"


if __name__ == "__main__":
    main()
