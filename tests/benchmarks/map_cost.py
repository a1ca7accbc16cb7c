"""What maps for one row in a hundred add to a scan: the same night with and without them, in turns."""

from pathlib import Path

import numpy as np

from scanner.catalogue.plan import ScanConfig
from scanner.catalogue.units import find_units
from scanner.networks.locate import SHIPPED_DIR
from scanner.scan import scan_unit
from scanner.scoring import open_scanner
from tests.benchmarks.scan_speed import CORES, FLAGSHIP, N_TILE_PIXELS, NIGHT, SOURCES_PER_TILE, actors_rate
from tests.tiles import write_tiles

N_TILES = 24
CANDIDATES = 0.01
TURNS = 3


def measure(scratch: Path) -> dict[str, float]:
    """Time with maps over time without, less one; medians of the turns."""
    tiles = scratch / "tiles"
    write_tiles(tiles, N_TILES, SOURCES_PER_TILE, n_pixels=N_TILE_PIXELS)
    threshold = _threshold(tiles)
    plain = ScanConfig(candidate_threshold=threshold)
    mapped = ScanConfig(candidate_threshold=threshold, maps_per_unit=SOURCES_PER_TILE)
    rates = np.array(
        [[actors_rate(tiles, FLAGSHIP, config, CORES, scratch)[0] for config in (plain, mapped)] for _ in range(TURNS)]
    )
    return {
        "maps_overhead": float(np.median(rates[:, 0] / rates[:, 1])) - 1,
        "tiles_without_maps_per_s": float(np.median(rates[:, 0])),
        "tiles_with_maps_per_s": float(np.median(rates[:, 1])),
    }


def _threshold(tiles: Path) -> float:
    """What one row in a hundred of the whole night reaches."""
    scanner = open_scanner(SHIPPED_DIR / FLAGSHIP, ScanConfig(), CORES)
    p_lens = np.concatenate(
        [scan_unit(unit, scanner, NIGHT.isoformat())["p_lens"].to_numpy() for unit in find_units(str(tiles))]
    )
    return float(np.quantile(p_lens, 1 - CANDIDATES))
