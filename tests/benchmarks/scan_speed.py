"""What a scan reaches of this machine's limit, and of what others do with the same cutouts.

The limit is the networks alone, on inputs that lie ready in memory, with the engine, precision and threads of the scan.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import numpy as np
import pyarrow.parquet as pq
import torch

from infra.cluster import ray_session
from infra.storage import probe
from scanner.actors import Packages, thread_settings
from scanner.catalogue.ledger import committed, pending, publish
from scanner.catalogue.plan import ScanConfig, build_plan, freeze, make_plan
from scanner.catalogue.seal import seal
from scanner.catalogue.units import Unit, find_units
from scanner.dispatch import scan_plan
from scanner.networks.engines import fast_precision, resolve_engine
from scanner.networks.ensemble import Ensemble
from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.package import load_network, load_package, read_card
from scanner.pixels.geometry import Geometry, Stamps
from scanner.pixels.inputs import network_input
from scanner.pixels.shards import ROWS_PER_SHARD, encode_shard, shard_table
from scanner.scan import open_unit, scan_unit
from scanner.scoring import open_scanner
from tests.benchmarks import paper_loop
from tests.tiles import write_tile, write_tiles

T = TypeVar("T")

NIGHT = date(2026, 1, 1)
FLAGSHIP, SEVEN = "mer3-sim", "ou7-sim"
SHORT = {FLAGSHIP: "flagship", SEVEN: "seven"}
"""What names of figures end in."""
CORES = os.cpu_count() or 1
N_TILES = {FLAGSHIP: 24, SEVEN: 16}
"""To scan: seconds for the one and minutes for the other."""
N_TILE_PIXELS = 3072
SOURCES_PER_TILE = 640
"""As dense as 25 000 in a whole MER tile."""
N_MEMORY_UNITS = 200
N_PAPER_LOOP = 192
BATCH = 64
RUNS = 3


def median_seconds(work: Callable[[], object], runs: int = RUNS) -> float:
    """Of `runs` runs after one that warms up."""
    work()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def logits_rate(ensemble: Ensemble, stamps: Stamps) -> float:
    """Cutouts per second through all networks of an ensemble, inputs ready."""
    ready = []
    for network in ensemble.card.networks:
        inputs = network_input(
            {band: images[:BATCH] for band, images in stamps.items()}, network.channels, network.input_pixels
        )
        ready.append((ensemble.engines[network.name], inputs))
    n_repeats = 4
    return BATCH * n_repeats / median_seconds(lambda: [engine.logits(x) for _ in range(n_repeats) for engine, x in ready])


def stamps_of(unit: Unit, ensemble: Ensemble, n: int) -> Stamps:
    """The first stamps of a unit."""
    batch = next(open_unit(unit, ensemble.geometry, n).batches()())
    return batch.stamps


def stages(unit: Unit, package: Path, config: ScanConfig, threads: int) -> dict[str, float]:
    """Milliseconds a cutout that each stage takes by itself."""
    scanner = open_scanner(package, config, threads)
    ensemble = load_package(package)
    stamps = stamps_of(unit, ensemble, BATCH)
    names = sorted({(network.input_pixels, network.channels) for network in ensemble.card.networks}, key=str)
    plan = make_plan(NIGHT.isoformat(), ensemble, config, [unit])
    table = scan_unit(unit, scanner, NIGHT.isoformat())
    begin = open_unit(unit, ensemble.geometry, BATCH).begin
    root = Path(unit.files["catalogue"].uri).parent.parent / f"catalogue-{uuid4().hex[:8]}"

    def publish_once() -> None:
        publish(table, unit, plan, str(root / uuid4().hex), attempt=uuid4().hex)

    return {
        "read_and_cut": 1e3 * median_seconds(lambda: sum(batch.n_rows for batch in begin()), 1) / unit.n_rows,
        "prepare_inputs": 1e3 * median_seconds(lambda: [network_input(stamps, c, n) for n, c in names]) / BATCH,
        "publish": 1e3 * median_seconds(publish_once) / unit.n_rows,
    }


def one_ensemble(name: str, tiles: Path, scratch: Path) -> dict[str, float]:
    """Rates of one ensemble beside the machine's limit: with an actor a core from tiles and shards, and with other settings."""
    package = SHIPPED_DIR / name
    card = read_card(package)
    engine = resolve_engine("auto")
    fast = fast_precision(engine) or "float32"
    config = ScanConfig(candidate_threshold=card.candidate_threshold)
    unit = find_units(str(tiles))[0]
    ensemble = load_package(package, engine, fast, CORES)
    stamps = stamps_of(unit, ensemble, ROWS_PER_SHARD)
    shards = write_shards(scratch / f"shards-{name}", stamps, ensemble.geometry, len(find_units(str(tiles))))
    # A machine's clock goes up and down by a sixth within minutes: the limit is taken before and after each scan.
    before = logits_rate(ensemble, stamps)
    tiles_per_s = actors_rate(tiles, name, config, CORES, scratch)[0]
    between = logits_rate(ensemble, stamps)
    shards_per_s = actors_rate(shards, name, config, CORES, scratch)[0]
    after = logits_rate(ensemble, stamps)
    found = {
        "limit_per_s": (before + between + after) / 3,
        "limit_highest_per_s": max(before, between, after),
        "limit_lowest_per_s": min(before, between, after),
        "limit_float32_per_s": logits_rate(load_package(package, engine, "float32", CORES), stamps),
        "tiles_per_s": tiles_per_s,
        "shards_per_s": shards_per_s,
        "tiles_over_limit": 2 * tiles_per_s / (before + between),
        "shards_over_limit": 2 * shards_per_s / (between + after),
        "tiles_one_actor_per_s": actors_rate(tiles, name, config, 1, scratch)[0],
    }
    found |= {
        "two_actors_over_one": found["tiles_per_s"] / found["tiles_one_actor_per_s"],
    }
    found |= {f"ms_{stage}": ms for stage, ms in stages(unit, package, config, 1).items()}
    return {f"{figure}_{SHORT[name]}": value for figure, value in found.items()}


def write_shards(folder: Path, stamps: Stamps, geometry: Geometry, n_shards: int) -> Path:
    """The same stamps in every shard, under other ids."""
    folder.mkdir()
    n = len(stamps["VIS"])
    for shard in range(n_shards):
        content = encode_shard(shard_table(np.arange(n) + shard * n, stamps, {}, geometry))
        (folder / f"shard-{shard:05d}.parquet").write_bytes(content)
    return folder


def actors_rate(source: Path, name: str, config: ScanConfig, workers: int, scratch: Path) -> tuple[float, float]:
    """Rows per second in the later half of a scan's units, when all actors have long started; those over the earlier half's."""
    plan = build_plan(str(source), NIGHT.isoformat(), read_card(SHIPPED_DIR / name), config)
    ends: list[tuple[float, int]] = []

    def report(done: int, _total: int) -> None:
        if done:
            ends.append((time.perf_counter(), done))

    with ray_session(num_cpus=CORES):
        scan_plan(plan, Packages(SHIPPED_DIR / name), str(scratch / uuid4().hex), workers, report)
    middle = len(ends) // 2
    later = _steady(ends[middle:])
    return later, later / _steady(ends[: middle + 1])


def against_the_paper(tiles: Path, scratch: Path) -> dict[str, float]:
    """The seven networks as the paper ran them, on the pixels of the scan, and how far the recorded scores are apart."""
    package = SHIPPED_DIR / SEVEN
    card = read_card(package)
    unit = find_units(str(tiles))[0]
    recorded = load_package(package, resolve_engine("auto"), "float32", CORES)
    stamps = stamps_of(unit, recorded, N_PAPER_LOOP)
    networks = {
        network.name: load_network(package, network).to(memory_format=torch.contiguous_format) for network in card.networks
    }
    per_s, theirs = paper_loop.rate(paper_loop.write_cutouts(scratch / "fits", stamps), card, networks)
    ours = recorded.score(stamps).p_networks
    apart = max(float(np.abs(ours[name] - theirs[name]).max()) for name in ours)
    return {"paper_loop_per_s": per_s, "paper_loop_largest_difference": apart}


def many_units(tiles: Path, name: str, scratch: Path) -> dict[str, float]:
    """Twenty units on one actor."""
    config = ScanConfig(candidate_threshold=read_card(SHIPPED_DIR / name).candidate_threshold)
    rate, later_over_earlier = actors_rate(tiles, name, config, 1, scratch)
    return {"small_tiles_one_actor_per_s": rate, "last_ten_units_over_first_ten": later_over_earlier}


def ledger_overhead(tiles: Path, name: str, scratch: Path) -> dict[str, float]:
    """What the protocol costs over scanning and writing each table to a file, in the same run: checks, digests, syncs, seal."""
    package = SHIPPED_DIR / name
    config = ScanConfig(candidate_threshold=read_card(package).candidate_threshold)
    scanner = open_scanner(package, config, 1)
    units = find_units(str(tiles))
    root = str(scratch / uuid4().hex)
    scan_unit(units[0], scanner, NIGHT.isoformat())
    tables, seconds_scan = _timed(lambda: [scan_unit(unit, scanner, NIGHT.isoformat()) for unit in units])
    _, seconds_plain = _timed(lambda: [pq.write_table(table, scratch / f"{uuid4().hex}.parquet") for table in tables])

    def with_protocol() -> None:
        probe(root)
        plan = make_plan(NIGHT.isoformat(), read_card(package), config, units)
        freeze(plan, root)
        for unit, table in zip(pending(plan, root), tables, strict=True):
            if committed(unit, plan, root) is None:
                publish(table, unit, plan, root, attempt=uuid4().hex)
        seal(plan, root)

    _, seconds_protocol = _timed(with_protocol)
    return {"ledger_overhead": (seconds_protocol - seconds_plain) / (seconds_scan + seconds_plain)}


def full_tile(scratch: Path) -> dict[str, float]:
    """Peak memory and time of a whole MER tile: 19 200 pixels a side in four bands, 6 GB on disk."""
    write_tile(scratch / "full", 1, 17_857, n_pixels=19_200)
    command = [sys.executable, "-m", __name__, "full_tile", str(scratch / "full"), FLAGSHIP]
    environment = {**os.environ, **thread_settings(1)}
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)


def _full_tile_here(tile: Path, name: str) -> dict[str, float]:
    scanner = open_scanner(SHIPPED_DIR / name, ScanConfig(), 1)
    (unit,) = find_units(str(tile))
    begun = time.process_time()
    scan_unit(unit, scanner, NIGHT.isoformat())
    return {"core_s_full_tile": time.process_time() - begun, "peak_rss_gb_full_tile": _peak_bytes() / 1e9}


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    begun = time.perf_counter()
    result = work()
    return result, time.perf_counter() - begun


def _steady(ends: list[tuple[float, int]]) -> float:
    """Rows per second from the first of some ends of units to the last."""
    (begun, before), (ended, after) = ends[0], ends[-1]
    return (after - before) / (ended - begun)


def memory(tiles: Path, name: str) -> dict[str, float]:
    """Resident memory of one scanner in a process of its own, after ten units and after `N_MEMORY_UNITS`."""
    command = [sys.executable, "-m", __name__, "memory", str(tiles), name]
    environment = {**os.environ, **thread_settings(CORES)}
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)


def _memory_here(tiles: Path, name: str) -> dict[str, float]:
    units = find_units(str(tiles))
    scanner = open_scanner(SHIPPED_DIR / name, ScanConfig(), CORES)
    resident = []
    for i in range(N_MEMORY_UNITS):
        scan_unit(units[i % len(units)], scanner, NIGHT.isoformat())
        resident.append(_resident_bytes())
    return {
        # It goes up and down within a unit.
        "rss_mb_units_11_to_20": max(resident[10:20]) / 1e6,
        "rss_growth_200_units": max(resident[-10:]) / max(resident[10:20]) - 1,
        "peak_rss_mb": _peak_bytes() / 1e6,
    }


def _peak_bytes() -> float:
    """Of this process since its program began; `getrusage` would begin with its parent's size."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024.0 * int(status.partition("VmHWM:")[2].split()[0])


def _resident_bytes() -> int:
    fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def measure(scratch: Path) -> dict[str, float]:
    """Every figure by its name."""
    torch.set_num_threads(CORES)
    large, small = scratch / "large", scratch / "small"
    for name, n_tiles in N_TILES.items():
        write_tiles(large / name, n_tiles, SOURCES_PER_TILE, n_pixels=N_TILE_PIXELS)
    write_tiles(small, 20, 200, n_pixels=1000)
    found = {**one_ensemble(FLAGSHIP, large / FLAGSHIP, scratch), **one_ensemble(SEVEN, large / SEVEN, scratch)}
    found["two_actors_over_one"] = min(found[f"two_actors_over_one_{short}"] for short in SHORT.values())
    found |= against_the_paper(large / SEVEN, scratch)
    found["over_paper_loop"] = found["tiles_per_s_seven"] / found["paper_loop_per_s"]
    found["flagship_over_paper_loop"] = found["tiles_per_s_flagship"] / found["paper_loop_per_s"]
    found |= many_units(small, FLAGSHIP, scratch)
    found |= memory(small, FLAGSHIP)
    return found | ledger_overhead(large / FLAGSHIP, FLAGSHIP, scratch)


if __name__ == "__main__":
    here = {"memory": _memory_here, "full_tile": _full_tile_here}[sys.argv[1]]
    sys.stdout.write(json.dumps(here(Path(sys.argv[2]), sys.argv[3])))
