"""The cost of embeddings in a scan: the same unit with and without a reference, in turns.

`python -m tests.benchmarks.embedding_cost --input FOLDER` scans the first unit of a folder of tiles or shards, by default of a
tile that it writes, and writes embedding_cost.json beside this file, or to `--out`: the ratio of processor times, which other
work on the machine changes less than wall times.
"""

import argparse
import json
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow.compute as pc

from infra.settings import Settings
from scanner.catalogue.find_units import find_units
from scanner.catalogue.plan import ScanConfig
from scanner.catalogue.unitfile import encode_table
from scanner.catalogue.units import Unit
from scanner.networks.card_file import read_card
from scanner.networks.locate import find_package
from scanner.scan.scoring import CutoutScanner, open_scanner
from tests.benchmarks.rates import in_turns
from tests.circumstances import commit, processor
from tests.scanner.scanned import scanned
from tests.tiles import write_tile

RESULTS = Path(__file__).with_name("embedding_cost.json")
ROUNDS, MOST_COST = 12, 0.03
"""Number of pairs, and largest accepted cost."""


def cost_of(unit: Unit, package: Path, rounds: int) -> dict[str, Any]:
    """Return the added share of processor time, its spread, and the bytes that a row takes with and without embeddings."""
    card = read_card(package)
    config = ScanConfig(candidate_threshold=card.candidate_threshold)
    settings = {"without": config, "with": config.model_copy(update={"reference_sha256": card.reference_sha256})}
    scanners = {name: open_scanner(package, of, 1) for name, of in settings.items()}
    tables = {name: scanned(unit, scanner) for name, scanner in scanners.items()}
    runs = in_turns({name: partial(_seconds, unit, scanner) for name, scanner in scanners.items()}, rounds)
    ratios = np.divide(runs["with"], runs["without"]) - 1
    n_rows = tables["with"].num_rows
    low, median, high = np.quantile(ratios, [0.25, 0.5, 0.75])
    return {
        "rows": n_rows,
        "with_embedding": float(pc.mean(tables["with"]["embedding"].is_valid()).as_py()),
        "cost": float(median),
        "cost_quartiles": [float(low), float(high)],
        "cost_of_the_fastest": float(min(runs["with"]) / min(runs["without"]) - 1),
        "core_ms_per_row": float(1e3 * np.median(runs["without"]) / n_rows),
        "rounds": rounds,
        "bytes_per_row": {name: len(encode_table(table)) / n_rows for name, table in tables.items()},
    }


def _seconds(unit: Unit, scanner: CutoutScanner) -> float:
    begun = time.process_time()
    encode_table(scanned(unit, scanner))
    return time.process_time() - begun


def main() -> None:
    settings = Settings.read()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ensemble", default=settings.ensemble)
    parser.add_argument("--input", help="folder of tiles or shards")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    with TemporaryDirectory() as scratch:
        if options.input is None:
            write_tile(Path(scratch), 1, 640, 3072)
        unit = find_units(options.input or scratch)[0]
        found = cost_of(unit, find_package(options.ensemble, settings.ensembles_dir), options.rounds)
    about = {"commit": commit(), "processor": processor()}
    text = json.dumps({**about, **found, "passes": found["cost"] <= MOST_COST}, indent=1)
    options.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
