"""What a scan reaches of this machine's limit, and of what others do with the same cutouts.

The limit is the networks alone, on inputs that lie ready in memory, with the engine, precision and threads of the scan.
"""

import os
import resource
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from uuid import uuid4

import numpy as np
import torch

from infra.cluster import ray_session
from scanner.actors import Packages, scan_plan
from scanner.catalogue.ledger import publish
from scanner.catalogue.plan import ScanConfig, build_plan
from scanner.catalogue.units import Unit, find_units
from scanner.networks.engines import fast_precision, resolve_engine
from scanner.networks.ensemble import Ensemble
from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.package import load_network, load_package, read_card
from scanner.pixels.geometry import Stamps
from scanner.pixels.inputs import network_input
from scanner.pixels.shards import encode_shard, shard_table
from scanner.scan import open_unit, scan_unit
from scanner.scoring import open_scanner
from tests.benchmarks import paper_loop
from tests.tiles import write_tile, write_tiles

NIGHT = date(2026, 1, 1)
FLAGSHIP, SEVEN = "mer3-sim", "ou7-sim"
N_TILE_PIXELS = 4800
"""A quarter of a MER tile's side."""
SOURCES_PER_TILE = 1536
"""As dense as 25 000 in a whole MER tile."""
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
    plan = build_plan(str(Path(unit.files["catalogue"].uri).parent), NIGHT.isoformat(), ensemble, config)
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


def one_ensemble(name: str, tiles: Path, scratch: Path, threads: int) -> dict[str, float]:
    """Rates of one ensemble, from a tile and from shards, beside its limit and the paper's loop."""
    package = SHIPPED_DIR / name
    card = read_card(package)
    engine = resolve_engine("auto")
    fast = fast_precision(engine) or "float32"
    config = ScanConfig(candidate_threshold=card.candidate_threshold)
    exact_config = config.model_copy(update={"sweep": False})
    (unit,) = find_units(str(tiles))
    ensemble = load_package(package, engine, fast, threads)
    stamps = stamps_of(unit, ensemble, 500)
    shards = scratch / f"shards-{name}"
    shards.mkdir()
    (shards / "shard-00000.parquet").write_bytes(
        encode_shard(shard_table(np.arange(len(stamps["VIS"])), stamps, {}, ensemble.geometry))
    )
    (shard,) = find_units(str(shards))
    scanner, exact = (open_scanner(package, c, threads) for c in (config, exact_config))
    limit = logits_rate(ensemble, stamps)
    found = {
        "limit_per_s": limit,
        "limit_float32_per_s": logits_rate(load_package(package, engine, "float32", threads), stamps),
        "tile_per_s": unit.n_rows / median_seconds(lambda: scan_unit(unit, scanner, NIGHT.isoformat())),
        "tile_float32_per_s": unit.n_rows / median_seconds(lambda: scan_unit(unit, exact, NIGHT.isoformat()), 1),
        "shard_per_s": shard.n_rows / median_seconds(lambda: scan_unit(shard, scanner, NIGHT.isoformat())),
    }
    found |= {"tile_over_limit": found["tile_per_s"] / limit, "shard_over_limit": found["shard_per_s"] / limit}
    return {**found, **{f"ms_{stage}": ms for stage, ms in stages(unit, package, config, threads).items()}}


def against_the_paper(tiles: Path, scratch: Path, threads: int) -> dict[str, float]:
    """The seven networks as the paper ran them, on the pixels of the scan, and how far the recorded scores are apart."""
    package = SHIPPED_DIR / SEVEN
    card = read_card(package)
    (unit,) = find_units(str(tiles))
    recorded = load_package(package, resolve_engine("auto"), "float32", threads)
    stamps = stamps_of(unit, recorded, N_PAPER_LOOP)
    networks = {
        network.name: load_network(package, network).to(memory_format=torch.contiguous_format) for network in card.networks
    }
    per_s, theirs = paper_loop.rate(paper_loop.write_cutouts(scratch / "fits", stamps), card, networks)
    ours = recorded.score(stamps).p_networks
    apart = max(float(np.abs(ours[name] - theirs[name]).max()) for name in ours)
    return {"paper_loop_per_s": per_s, "paper_loop_largest_difference": apart}


def on_actors(tiles: Path, scratch: Path, name: str) -> dict[str, float]:
    """Many tiles through Ray: two actors of one thread each against one of all threads, and the first units against the last.

    The first unit of each actor carries its start and is left out.
    """
    card = read_card(SHIPPED_DIR / name)
    plan = build_plan(str(tiles), NIGHT.isoformat(), card, ScanConfig(candidate_threshold=card.candidate_threshold))
    rates = {}
    with ray_session(num_cpus=2):
        for workers in (1, 2):
            ends: list[tuple[float, int]] = []
            report = _recorder(ends)
            scan_plan(plan, Packages(SHIPPED_DIR / name), str(scratch / f"actors-{name}-{workers}"), workers, report)
            rates[workers] = _steady(ends, workers)
            if workers == 1:
                first, last = ends[1 : len(ends) // 2], ends[len(ends) // 2 :]
                rates["last_over_first"] = _steady(last, 1) / _steady(first, 1)
    return {
        "one_actor_per_s": rates[1],
        "two_actors_over_one": rates[2] / rates[1],
        "last_ten_units_over_first_ten": rates["last_over_first"],
    }


def _recorder(ends: list[tuple[float, int]]) -> Callable[[int, int], None]:
    return lambda done, _total: ends.append((time.perf_counter(), done)) if done else None


def _steady(ends: list[tuple[float, int]], n_first: int) -> float:
    """Rows per second after the first units."""
    (begun, before), (ended, after) = ends[n_first - 1], ends[-1]
    return (after - before) / (ended - begun)


def memory(tiles: Path, name: str, n_units: int = 200) -> dict[str, float]:
    """Resident memory of one scanner after ten units and after `n_units`."""
    (unit, *_) = find_units(str(tiles))
    scanner = open_scanner(SHIPPED_DIR / name, ScanConfig(), os.cpu_count())
    resident = []
    for _ in range(n_units):
        scan_unit(unit, scanner, NIGHT.isoformat())
        resident.append(_resident_bytes())
    return {
        "resident_after_10_units_mb": resident[9] / 1e6,
        "resident_growth": resident[-1] / resident[9] - 1,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
    }


def _resident_bytes() -> int:
    fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def measure(scratch: Path) -> dict[str, dict[str, float]]:
    """Everything, by what it is about."""
    threads = os.cpu_count() or 1
    torch.set_num_threads(threads)
    large, small = scratch / "large", scratch / "small"
    write_tile(large, 1, SOURCES_PER_TILE, N_TILE_PIXELS)
    write_tiles(small, 20, 200, n_pixels=1000)
    found = {name: one_ensemble(name, large, scratch, threads) for name in (FLAGSHIP, SEVEN)}
    found["paper"] = against_the_paper(large, scratch, threads)
    loop = found["paper"]["paper_loop_per_s"]
    found["paper"] |= {
        "seven_over_paper_loop": found[SEVEN]["tile_per_s"] / loop,
        "flagship_over_paper_loop": found[FLAGSHIP]["tile_per_s"] / loop,
    }
    found["actors"] = on_actors(small, scratch, FLAGSHIP)
    found["memory"] = memory(small, FLAGSHIP)
    return found
