"""Costs of one scanner in its own process: memory over many units and for a whole tile, and the commit protocol."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

import pyarrow.parquet as pq

from infra.private_apis import arrow_without_pandas
from infra.store.storage import probe
from scanner.catalogue.find_units import find_units
from scanner.catalogue.ledger import committed, pending, publish
from scanner.catalogue.plan import ScanConfig, freeze, make_plan
from scanner.catalogue.seal import seal
from scanner.catalogue.units import Unit
from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from scanner.scan.scoring import open_scanner
from scanner.workers.threads import thread_settings
from tests.benchmarks.rates import Runs, peak_bytes, seconds_of, spreads
from tests.benchmarks.sizes import CORES, FLAGSHIP, NIGHT
from tests.scanner.scanned import scanned
from tests.tiles import write_tile


def ledger_runs(units: list[Unit], name: str, rounds: int, scratch: Path) -> Runs:
    """Return the cost of the protocol (checks, digests, syncs, seal) relative to scanning and writing each table to a file."""
    package = SHIPPED_DIR / name
    config = ScanConfig(candidate_threshold=read_card(package).candidate_threshold)
    scanner = open_scanner(package, config, 1)
    scanned(units[0], scanner, NIGHT.isoformat())

    def once() -> float:
        root = str(scratch / uuid4().hex)
        tables = []
        seconds_scan = seconds_of(lambda: tables.extend(scanned(unit, scanner, NIGHT.isoformat()) for unit in units))
        seconds_plain = seconds_of(lambda: [pq.write_table(table, scratch / f"{uuid4().hex}.parquet") for table in tables])

        def with_protocol() -> None:
            probe(root)
            plan = make_plan(NIGHT.isoformat(), read_card(package), config, units)
            freeze(plan, root)
            for unit, table in zip(pending(plan, root), tables, strict=True):
                if committed(unit, plan, root) is None:
                    publish(table, unit, plan, root, attempt=uuid4().hex)
            seal(plan, root)

        return (seconds_of(with_protocol) - seconds_plain) / (seconds_scan + seconds_plain)

    return {"ledger_overhead": [once() for _ in range(rounds)]}


def memory(tiles: Path, name: str, n_units: int) -> dict[str, float]:
    """Return the resident memory of one scanner after its first units and after many."""
    return _elsewhere(["memory", str(tiles), name, str(n_units)], CORES)


def full_tile(scratch: Path, rounds: int) -> dict[str, float]:
    """Return peak memory and time for a whole MER tile: 19 200 pixels a side in four bands, 6 GB on disk.

    A first scan, which is not counted, waits until the tile is written to disk, and brings it into the system's cache.
    """
    write_tile(scratch / "full", 1, 17_857, n_pixels=19_200)
    os.sync()
    _, *counted = [_elsewhere(["full_tile", str(scratch / "full"), FLAGSHIP], 1) for _ in range(1 + rounds)]
    return spreads({name: [found[name] for found in counted] for name in counted[0]})


def _elsewhere(arguments: list[str], threads: int) -> dict[str, float]:
    command = [sys.executable, "-m", __name__, *arguments]
    environment = {**os.environ, **thread_settings(threads)}
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)


def _full_tile_here(tile: str, name: str) -> dict[str, float]:
    # As a scan worker does, whose Arrow does not load pandas to turn an array into Arrow's.
    arrow_without_pandas()
    scanner = open_scanner(SHIPPED_DIR / name, ScanConfig(), 1)
    (unit,) = find_units(tile)
    begun = time.process_time()
    scanned(unit, scanner, NIGHT.isoformat())
    return {"core_s_full_tile": time.process_time() - begun, "peak_rss_gb_full_tile": peak_bytes() / 1e9}


def _memory_here(tiles: str, name: str, n_units: str) -> dict[str, float]:
    units = find_units(tiles)
    scanner = open_scanner(SHIPPED_DIR / name, ScanConfig(), CORES)
    resident = []
    for i in range(int(n_units)):
        scanned(units[i % len(units)], scanner, NIGHT.isoformat())
        resident.append(_resident_bytes())
    return {
        # Take the largest of ten units: memory rises and falls within a unit.
        "rss_mb_units_11_to_20": max(resident[10:20]) / 1e6,
        "rss_growth_200_units": max(resident[-10:]) / max(resident[10:20]) - 1,
        "peak_rss_mb": peak_bytes() / 1e6,
    }


def _resident_bytes() -> int:
    fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    here = {"memory": _memory_here, "full_tile": _full_tile_here}[sys.argv[1]]
    sys.stdout.write(json.dumps(here(*sys.argv[2:])))
