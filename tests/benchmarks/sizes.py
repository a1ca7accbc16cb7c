"""Sizes of the benchmarks, and the ensembles and settings that they use."""

import os
from dataclasses import dataclass
from datetime import date

NIGHT = date(2026, 1, 1)
FLAGSHIP, SEVEN = "mer3-cascade", "ou7-sim"
BEFORE = "mer3-sim"
"""The default before the cascade: three networks that look at every object."""
SHORT = {FLAGSHIP: "flagship", SEVEN: "seven"}
"""Maps each ensemble to the suffix of its figures' names."""
CORES = os.cpu_count() or 1
CANDIDATES = 0.01
"""Share of the rows that are candidates, in measurements that need candidates; a survey has far fewer."""


@dataclass(frozen=True)
class Tiles:
    """Tiles to scan, as dense as a whole MER tile with 25 000 sources in 19 200 pixels a side."""

    n: int
    n_sources: int
    n_pixels: int


@dataclass(frozen=True)
class Sizes:
    """Sizes of one run of the benchmarks."""

    rounds: int
    """Number of times that everything compared is measured, in turns."""
    scan_s: float
    """Time of a scan in seconds: it takes as many units of equal size as fit, and at least three per actor."""
    limit_s: float
    tiles: dict[str, Tiles]
    small_tiles: Tiles
    limit_batches: dict[str, tuple[int, ...]]
    """Batch sizes that the limit tries. A process that tries 256 stamps of the large networks takes 7 GB, and six processes
    wait at a time where there is bfloat16, so that 24 GB would not do."""
    n_paper_loop: int
    n_memory_units: int
    n_ledger_units: int
    n_night_galaxies: int
    """Number of galaxies of each tile of a natural night, with the lens."""
    n_train_batches: int
    n_simulated: int
    shards_per_simulator: int


FULL = Sizes(
    rounds=3,
    scan_s=12,
    limit_s=9,
    # A unit ends with a batch that is not full, and a whole tile has seven times as many sources as the larger of these.
    tiles={FLAGSHIP: Tiles(4 * CORES, 2560, 6144), SEVEN: Tiles(4 * CORES, 640, 3072)},
    small_tiles=Tiles(20, 200, 1000),
    limit_batches={FLAGSHIP: (8, 64, 256), SEVEN: (8, 32, 64)},
    n_paper_loop=128,
    n_memory_units=200,
    n_ledger_units=12,
    n_night_galaxies=2000,
    n_train_batches=40,
    n_simulated=192,
    shards_per_simulator=2,
)
QUICK = Sizes(
    rounds=1,
    scan_s=1,
    limit_s=1,
    tiles={FLAGSHIP: Tiles(3 * CORES, 64, 1000), SEVEN: Tiles(3 * CORES, 16, 700)},
    small_tiles=Tiles(4, 30, 500),
    limit_batches={FLAGSHIP: (8, 16), SEVEN: (8, 16)},
    n_paper_loop=8,
    n_memory_units=24,
    n_ledger_units=3,
    n_night_galaxies=30,
    n_train_batches=2,
    n_simulated=16,
    shards_per_simulator=1,
)
"""Sizes that only check that everything runs; the figures are meaningless."""
