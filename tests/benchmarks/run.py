"""`make bench`: what the scan reaches of this machine's limit, as ratios measured in one run.

Writes `results.json` beside this file and prints the same as a table. The limit is the ensemble on stamps that lie ready in
memory, with the same engine, threads and batch.
"""

import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from skimage.transform import resize

from infra.cluster import ray_session
from infra.settings import Settings
from infra.storage import create_if_absent
from scanner.catalogue.units import find_units
from scanner.networks.ensemble import Ensemble
from scanner.networks.locate import find_package
from scanner.networks.package import load_package
from scanner.pixels.resample import regrid, resize_operator
from scanner.pixels.shards import ROWS_PER_SHARD, decode_shard, encode_shard
from scanner.scan import scan_unit
from scanner.scoring import CutoutScanner
from simulation.actors import simulate_dataset
from simulation.dataset import DatasetSpec, simulate_objects
from simulation.survey_tile import TileSpec, simulate_tile

RESULTS = Path(__file__).with_name("results.json")
N_OBJECTS = 192
BATCH = 64
RUNS = 3


def median_seconds(work: Callable[[], object]) -> float:
    """Of `RUNS` runs after one that warms up."""
    work()
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def scan_rate(folder: Path, ensemble: Ensemble) -> float:
    """Rows per second of `scan_unit` over the one unit below `folder`."""
    (unit,) = find_units(str(folder))
    scanner = CutoutScanner(ensemble, BATCH)
    return unit.n_rows / median_seconds(lambda: scan_unit(unit, scanner, "2026-01-01"))


def limit_rate(ensemble: Ensemble, shard_bytes: bytes) -> float:
    """Stamps per second that lie ready in memory."""
    stamps = {band: images[:BATCH] for band, images in decode_shard(shard_bytes).stamps.items()}
    return BATCH / median_seconds(lambda: ensemble.score(stamps))


def resize_gain() -> float:
    """How much faster a batched matrix product is than scikit-image, 66 to 200 px."""
    images = np.random.default_rng(1).normal(size=(BATCH, 66, 66)).astype(np.float32)
    ours = median_seconds(lambda: regrid(images, resize_operator(66, 200)))
    theirs = median_seconds(lambda: [resize(image, (200, 200)) for image in images])
    return theirs / ours


def simulation_rates(scratch: Path) -> dict[str, float]:
    """Complete stamps per second, shards written: in one process, and with one and two actors once they run."""
    spec = DatasetSpec(n=2 * ROWS_PER_SHARD, seed=1, geometry="mer")
    simulate_objects(spec, range(8))
    start = time.perf_counter()
    simulate_objects(spec, range(N_OBJECTS))
    rates = {"simulate_mer_per_s": N_OBJECTS / (time.perf_counter() - start)}
    with ray_session(num_cpus=2):
        for n_workers in (1, 2):
            finished: list[float] = []
            begun = time.perf_counter()
            more = spec.model_copy(update={"n": 2 * n_workers * ROWS_PER_SHARD, "seed": n_workers})
            out = str(scratch / f"simulated-{n_workers}")
            simulate_dataset(more, out, n_workers, lambda _done, _total, times=finished: times.append(time.perf_counter()))
            # The first shards of all actors carry their start.
            rates[f"simulate_mer_{n_workers}_actors_per_s"] = n_workers * ROWS_PER_SHARD / (finished[-1] - finished[n_workers])
            rates[f"simulate_mer_{n_workers}_actors_with_start_per_s"] = more.n / (finished[-1] - begun)
    ratio = rates["simulate_mer_2_actors_per_s"] / rates["simulate_mer_1_actors_per_s"]
    return {**rates, "simulate_two_actors_over_one": ratio}


def measure() -> dict[str, float]:
    ensemble = load_package(find_package("ou7-sim", Settings.read().ensembles_dir))
    with tempfile.TemporaryDirectory() as scratch:
        start = time.perf_counter()
        shard = encode_shard(simulate_objects(DatasetSpec(n=N_OBJECTS, seed=1), range(N_OBJECTS)))
        simulate_per_s = N_OBJECTS / (time.perf_counter() - start)
        shards, tiles = Path(scratch, "shards"), Path(scratch, "tiles")
        shards.mkdir()
        create_if_absent(str(shards / "shard-00000.parquet"), shard, "bench")
        simulate_tile(TileSpec(tile_id="100000001", n_galaxies=N_OBJECTS - 8, n_single=8, seed=1), str(tiles))
        limit = limit_rate(ensemble, shard)
        simulated = simulation_rates(Path(scratch))
        return {
            **simulated,
            "limit_seven_per_s": limit,
            "tiles_over_limit_seven": scan_rate(tiles, ensemble) / limit,
            "shards_over_limit_seven": scan_rate(shards, ensemble) / limit,
            "resize_over_skimage": resize_gain(),
            "simulate_per_s": simulate_per_s,
        }


def main() -> None:
    torch.set_num_threads(os.cpu_count() or 1)
    results = {key: round(value, 3) for key, value in measure().items()}
    machine = {
        "cpus": os.cpu_count(),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "torch": version("torch"),
        "date": datetime.now(UTC).date().isoformat(),
        "command": "make bench",
    }
    RESULTS.write_text(json.dumps({**results, "machine": machine}, indent=2) + "\n")
    sys.stdout.writelines(f"{key:<40}{value:>10}\n" for key, value in results.items())


if __name__ == "__main__":
    main()
