"""Simulate a survey of 56 000 tiles: its time, what it reads and costs, and where more workers do not help.

`python -m tests.benchmarks.survey_scale` simulates scans with `survey_model.py`, from measured costs, and writes
SURVEY_SCALE.md and survey_scale.json beside this file, and the figure of docs/performance.md. It takes a few minutes.
"""

import argparse
import itertools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from tests.benchmarks.survey_model import Scanned, Survey, simulate
from tests.circumstances import commit

FOLDER = Path(__file__).parent
REPORT, DATA = FOLDER / "SURVEY_SCALE.md", FOLDER / "survey_scale.json"
FIGURE = FOLDER.parents[1] / "docs" / "figures" / "survey_scale.svg"

N_TILES = 56_000
"""Tiles of the Euclid wide survey, with 10⁹ galaxies."""
WORKERS = (64, 128, 256, 512, 1000, 2000)
STORES_GB_S = (2, 5, 20, 100)
"""A server with one 25 Gbit/s card, a few of them, a large cluster of an institute, a region of a cloud."""
TILE_BYTES = 4 * 19_200**2 * 4
"""Four float32 mosaics of 19 200² pixels."""
UNIT_FILE_BYTES = 2.5e6
"""docs/performance.md: the unit file of a tile with 17 857 of 80 000 sources scored."""
WORKER_BYTES_PER_S = 0.2e9
"""A worker's share of a 25 Gbit/s card of a node with 16 cores."""
CORE_SPREAD = 0.2
"""Assumed: tiles hold more or fewer galaxies."""
SLOW_CORE_S = 69.80 * 1.1163
"""A whole tile with `mer3-sim` on cores without AVX-512, 2026-11-26, and the share that maps for one row in a hundred add."""
FAST_CORE_S = 271 * 3600 / N_TILES
"""271 core hours for the survey with `mer3-sim` on cores with AVX-512 and bfloat16, without maps."""
REPLACEMENT_S = 57.3
"""The longest recovery after the death of a worker in tests/faults/REPORT.md, row 1."""
USD_PER_CORE_HOUR, USD_PER_GB_OUT = 0.04, 0.05
"""Assumed: a rented core, and a byte that leaves a cloud; inside a region it costs nothing."""
SEED = 20261128


@dataclass(frozen=True)
class Failures:
    """Rates at which workers die and tiles have to be done again."""

    name: str
    deaths_per_worker_hour: float
    failed_share: float


NO_FAILURES = Failures("none", 0.0, 0.0)
FAILURES = (
    NO_FAILURES,
    Failures("a worker dies once in 1000 hours, one tile in 1000 fails", 1e-3, 1e-3),
    Failures("a worker dies once in 10 hours (a spot market), one tile in 100 fails", 0.1, 1e-2),
)


@dataclass(frozen=True)
class Row:
    """A simulated scan and its settings."""

    core_s: float
    store_gb_s: float
    n_workers: int
    failures: str
    scanned: Scanned

    @property
    def busy_share(self) -> float:
        """Share of the workers' time in which they scored."""
        return self.scanned.scoring_s / (self.scanned.wall_s * self.n_workers)

    @property
    def usd(self) -> float:
        """Cost of the cores, which are paid for while they wait."""
        return self.scanned.wall_s * self.n_workers / 3600 * USD_PER_CORE_HOUR

    def to_json(self) -> dict[str, object]:
        return {
            "core_s_per_tile": round(self.core_s, 2),
            "store_gb_s": self.store_gb_s,
            "n_workers": self.n_workers,
            "failures": self.failures,
            "wall_hours": round(self.scanned.wall_s / 3600, 3),
            "busy_share": round(self.busy_share, 4),
            "read_tb": round(self.scanned.read_bytes / 1e12, 2),
            "n_deaths": self.scanned.n_deaths,
            "n_repeated": self.scanned.n_repeated,
            "usd_cores": round(self.usd, 1),
        }


def survey_of(core_s: float, store_gb_s: float, n_workers: int, failures: Failures, n_tiles: int = N_TILES) -> Survey:
    """Return the survey's settings."""
    return Survey(
        n_tiles=n_tiles,
        n_workers=n_workers,
        core_s=core_s,
        core_spread=CORE_SPREAD,
        tile_bytes=TILE_BYTES,
        store_bytes_per_s=store_gb_s * 1e9,
        worker_bytes_per_s=WORKER_BYTES_PER_S,
        deaths_per_worker_hour=failures.deaths_per_worker_hour,
        replacement_s=REPLACEMENT_S,
        failed_share=failures.failed_share,
    )


def rows_of(
    core_s: float,
    failures: Iterable[Failures],
    stores: Iterable[float],
    n_tiles: int = N_TILES,
    workers: Iterable[int] = WORKERS,
) -> list[Row]:
    """Simulate a scan for each choice of failures, store and number of workers."""
    return [
        Row(core_s, store, n, kind.name, simulate(survey_of(core_s, store, n, kind, n_tiles), SEED))
        for kind, store, n in itertools.product(failures, stores, workers)
    ]


def saturation(core_s: float, store_gb_s: float) -> float:
    """Return the number of workers that keep a store busy; more of them wait.

    A worker reads a tile in the time in which it scores one, but no faster than its own share of a card.
    """
    return store_gb_s * 1e9 / min(TILE_BYTES / core_s, WORKER_BYTES_PER_S)


def markdown(slow: list[Row], fast: list[Row], failing: list[Row]) -> str:
    """Write the report."""
    read_tb, written_gb = N_TILES * TILE_BYTES / 1e12, N_TILES * UNIT_FILE_BYTES / 1e9
    usd_out = read_tb * 1000 * USD_PER_GB_OUT
    costs = f"{slow[0].core_s:.1f} core seconds a tile with maps", f"{fast[0].core_s:.1f} without maps"
    sizes = f"{TILE_BYTES / 1e9:.2f} GB to read and {UNIT_FILE_BYTES / 1e6} MB to write a tile"
    return f"""# A survey of {N_TILES} tiles, by simulation

Written by `python -m tests.benchmarks.survey_scale`, commit {commit():.12}. `survey_model.py` simulates the events of a scan:
workers of one core that fetch a tile while they score another, and share one store equally; `test_survey_model.py` compares it
with closed forms and with exact queueing theory. No survey of this size was scanned.

Measured with `mer3-sim`: {costs[0]} on cores without AVX-512, {costs[1]} on cores with AVX-512 and bfloat16,
{sizes}, {REPLACEMENT_S} s until the replacement of a dead worker commits.
Assumed: the time of a tile varies by {CORE_SPREAD:.0%}, a worker fetches at most {WORKER_BYTES_PER_S / 1e9} GB/s, the rates of
failures, and {USD_PER_CORE_HOUR} USD for a core hour.
The scan reads {read_tb:.0f} TB and writes {written_gb:.0f} GB. If all that it reads leaves a cloud, at {USD_PER_GB_OUT} USD/GB,
that costs {usd_out:,.0f} USD; inside a region it costs nothing. The time of plan and seal is not part of the simulation.

Each cell: hours, share of the time in which workers score, USD for the cores.

## Cores without AVX-512, with maps

{_table(slow)}
## Cores with AVX-512, without maps

{_table(fast)}
## Failures, on cores without AVX-512, with a store of {failing[0].store_gb_s} GB/s

| workers | failures | hours | deaths | tiles begun again | read, TB |
| ---: | --- | ---: | ---: | ---: | ---: |
{"".join(_failing_line(row) for row in failing)}"""


def _table(rows: list[Row]) -> str:
    """Write hours, busy share and cost by number of workers and store, and where each store saturates."""
    stores = list(dict.fromkeys(row.store_gb_s for row in rows))
    by_place = {(row.n_workers, row.store_gb_s): row for row in rows}
    lines = ["| workers | " + " | ".join(f"{store} GB/s" for store in stores) + " |", "| ---: |" + " ---: |" * len(stores)]
    for n in WORKERS:
        cells = (by_place[n, store] for store in stores)
        texts = (f"{row.scanned.wall_s / 3600:.1f} h, {row.busy_share:.0%}, {row.usd:,.0f} USD" for row in cells)
        lines.append(f"| {n} | " + " | ".join(texts) + " |")
    full = " | ".join(f"{saturation(rows[0].core_s, store):,.0f} workers" for store in stores)
    return "\n".join([*lines, f"| full at | {full} |"]) + "\n"


def _failing_line(row: Row) -> str:
    done = row.scanned
    return (
        f"| {row.n_workers} | {row.failures} | {done.wall_s / 3600:.2f} | {done.n_deaths} | {done.n_repeated} | "
        f"{done.read_bytes / 1e12:.1f} |\n"
    )


def draw(panels: list[tuple[str, list[Row]]]) -> Figure:
    """Draw hours over workers for each store, one panel for each kind of core, with the time of a store that never waits."""
    figure = Figure(figsize=(8.6, 3.8), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True)
    for axis, (title, rows) in zip(axes, panels, strict=True):
        for store, marker in zip(dict.fromkeys(row.store_gb_s for row in rows), "osD^", strict=True):
            of_store = [row for row in rows if row.store_gb_s == store]
            hours = [row.scanned.wall_s / 3600 for row in of_store]
            axis.plot(WORKERS, hours, marker=marker, markersize=5, label=f"store of {store} GB/s")
        ideal = [N_TILES * rows[0].core_s / n / 3600 for n in WORKERS]
        axis.plot(WORKERS, ideal, color="0.6", linestyle="--", zorder=0, label="work / workers")
        axis.set(xscale="log", yscale="log", title=title, xlabel="workers, one core each")
        axis.set_xticks(WORKERS, [f"{n}" for n in WORKERS])
        axis.minorticks_off()
        axis.grid(visible=True, color="0.9")
    axes[0].set(ylabel="hours for 56 000 tiles", yticks=[0.2, 1, 5, 20])
    axes[0].set_yticks([0.2, 0.5, 1, 2, 5, 10, 20, 50], ["0.2", "0.5", "1", "2", "5", "10", "20", "50"])
    axes[-1].legend(frameon=False, fontsize=8)
    return figure


def with_failures(core_s: float, store_gb_s: float) -> list[Row]:
    """Simulate failures on the fewest and the most workers."""
    some = rows_of(core_s, FAILURES, [store_gb_s], workers=(WORKERS[0], WORKERS[-1]))
    return sorted(some, key=lambda row: row.n_workers)


def main() -> None:
    """Simulate all scans, and write report, data and figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--figure", type=Path, default=FIGURE)
    arguments = parser.parse_args()
    slow = rows_of(SLOW_CORE_S, [NO_FAILURES], STORES_GB_S)
    fast = rows_of(FAST_CORE_S, [NO_FAILURES], STORES_GB_S)
    failing = with_failures(slow[0].core_s, 100)
    REPORT.write_text(markdown(slow, fast, failing), encoding="utf-8")
    rows = [row.to_json() for row in [*slow, *fast, *failing]]
    DATA.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    titles = [f"{rows[0].core_s:.0f} core seconds a tile" for rows in (slow, fast)]
    # The same drawing has the same bytes.
    with rc_context({"svg.hashsalt": "lensscan"}):
        draw(list(zip(titles, (slow, fast), strict=True))).savefig(arguments.figure, metadata={"Date": None})


if __name__ == "__main__":
    main()
