"""`make bench`: what the scan reaches of this machine's limit and of others' ways, as ratios measured in one run.

Writes `results.json` and `RESULTS.md` beside this file; figures of parts that are not run stay as they were.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from skimage.transform import resize

from infra.cluster import ray_session
from scanner.networks.engines import fast_precision, resolve_engine
from scanner.pixels.resample import resized
from scanner.pixels.shards import ROWS_PER_SHARD
from simulation.actors import simulate_dataset
from simulation.dataset import DatasetSpec, simulate_objects
from tests.benchmarks import explain, map_cost, meaning, peers, scan_speed, stored_maps
from tests.benchmarks.scan_speed import BATCH, median_seconds

RESULTS = Path(__file__).with_name("results.json")
TABLE = Path(__file__).with_name("RESULTS.md")
N_OBJECTS = 192


def resize_gain() -> float:
    """How much faster the banded matrix product is than scikit-image, 66 to 200 px."""
    images = np.random.default_rng(1).normal(size=(BATCH, 66, 66)).astype(np.float32)
    ours = median_seconds(lambda: resized(images, 200))
    theirs = median_seconds(lambda: [resize(image, (200, 200)) for image in images])
    return theirs / ours


def simulation_rates(scratch: Path) -> dict[str, float]:
    """Complete stamps per second, shards written: in one process, and with one and two actors once they run."""
    spec = DatasetSpec(n=2 * ROWS_PER_SHARD, seed=1, geometry="mer")
    simulate_objects(spec, range(8))
    start = time.perf_counter()
    simulate_objects(spec, range(N_OBJECTS))
    rates = {"simulate_per_s": N_OBJECTS / (time.perf_counter() - start)}
    with ray_session(num_cpus=2):
        for n_workers in (1, 2):
            finished: list[float] = []
            begun = time.perf_counter()
            more = spec.model_copy(update={"n": 2 * n_workers * ROWS_PER_SHARD, "seed": n_workers})
            out = str(scratch / f"simulated-{n_workers}")
            simulate_dataset(more, out, n_workers, lambda _done, _total, times=finished: times.append(time.perf_counter()))
            # The first shards of all actors carry their start.
            rates[f"simulate_{n_workers}_actors_per_s"] = n_workers * ROWS_PER_SHARD / (finished[-1] - finished[n_workers])
            rates[f"simulate_{n_workers}_actors_with_start_per_s"] = more.n / (finished[-1] - begun)
    ratio = rates["simulate_2_actors_per_s"] / rates["simulate_1_actors_per_s"]
    return {**rates, "simulate_two_actors_over_one": ratio}


def machine() -> dict[str, str | int | None]:
    """What the figures hold for."""
    return {
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "openvino", "ray", "numpy")},
        "engine": resolve_engine("auto"),
        "sweep": fast_precision("auto") or "none",
    }


def measured_by(parts: Sequence[str], before: Mapping[str, str]) -> dict[str, str]:
    """Part to the day and the command that its figures are of; those of parts that are not run stay as they were."""
    today = datetime.now(UTC).date().isoformat()
    return {**before, **dict.fromkeys(parts, f"{today}: python -m tests.benchmarks.run --parts {' '.join(parts)}")}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def markdown(results: Mapping[str, float], about: Mapping[str, Any]) -> str:
    """The same as a table."""
    text = ["# Benchmarks\n", "Measured by `make bench` or the commands below; what counts are the ratios.\n"]
    text.append("; ".join(f"{name} {value}" for name, value in about.items() if name != "measured") + "\n")
    text += [f"- {part}: {said}" for part, said in about["measured"].items()] + [""]
    rows = [f"| {name} | {value:.4g} |" for name, value in results.items()]
    return "\n".join([*text, "| | |", "| --- | ---: |", *rows]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parts = ("scan", "simulation", "maps", "full_tile", "peers")
    parser.add_argument("--parts", nargs="+", choices=parts, default=("scan", "simulation", "maps"))
    parser.add_argument("--peers", type=Path, help="folder of the peers' scripts and their data, for the part of that name")
    parser.add_argument("--hyrax-python", help="interpreter that has hyrax, for the part peers")
    options = parser.parse_args()
    measured: dict[str, Callable[[Path], dict[str, float]]] = {
        "scan": scan_speed.measure,
        "simulation": lambda scratch: {**simulation_rates(scratch), "resize_over_skimage": resize_gain()},
        "maps": lambda scratch: {
            **explain.measure(),
            **meaning.measure(),
            **stored_maps.measure(),
            **map_cost.measure(scratch),
        },
        "full_tile": scan_speed.full_tile,
        "peers": lambda scratch: peers.measure(options.peers, options.hyrax_python, scratch),
    }
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    measured_before = results.pop("machine", {}).get("measured", {})
    about = {**machine(), "measured": measured_by(options.parts, measured_before)}
    for part in options.parts:
        # A folder each: the parts' tiles together would take 20 GB.
        with tempfile.TemporaryDirectory() as folder:
            results = dict(sorted((results | measured[part](Path(folder))).items()))
        RESULTS.write_text(json.dumps({**results, "machine": about}, indent=1) + "\n")
        TABLE.write_text(markdown(results, about))
    sys.stdout.write(markdown(results, about))


if __name__ == "__main__":
    main()
