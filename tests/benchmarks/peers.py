"""Measure the rates of peers with the same seven published networks and cutouts, by unchanged scripts of another folder.

The folder holds `make_data.py`, `ray_data.py` and `hyrax_infer/`. The scripts read the cutouts in `PEERS_DATA` and the
published weights in `PEERS_WEIGHTS`, and print a line `RESULT {"peer": ..., ...}` with cutouts per second:

    python make_data.py 500 DATA                             # in the folder of the scripts
    python -m venv HYRAX; HYRAX/bin/pip install hyrax torch scikit-image
    lensscan models import-published WEIGHTS --name wilde2022
    export PEERS_DATA=DATA PEERS_WEIGHTS=WEIGHTS
    python -m tests.benchmarks.run --parts peers --peers FOLDER --hyrax-python HYRAX/bin/python

The peers compute in float32. Two comparisons are made: warm (their own steady rate; our actors started and warm), and whole
commands. Each uses our float32 (`--exact`) and, if the CPU has bfloat16, our default.
"""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from infra.ray.cluster import ray_session
from infra.settings import Settings
from scanner.catalogue.find_units import find_units
from scanner.catalogue.plan import ScanConfig
from scanner.catalogue.units import Unit
from scanner.networks.engines import fast_precision, resolve_engine
from scanner.networks.locate import find_package
from scanner.scan.scoring import open_scanner
from scanner.vocabulary.geometry import CHALLENGE
from tests.benchmarks.crews import Crew
from tests.benchmarks.nights import write_shard
from tests.benchmarks.rates import Runs, core_ms, over, seconds_of, spreads
from tests.benchmarks.sizes import CANDIDATES, CORES, NIGHT, Sizes
from tests.scanner.scanned import scanned

PUBLISHED = "wilde2022"
"""Name of the ensemble of the same weights that `lensscan models import-published` writes."""
ROWS = 25
"""Number of rows in our shards: 500 cutouts make twenty units."""
BATCHES = (8, 16, 64)
"""Batch sizes that each peer tries once; it is measured with the one whose whole command is fastest."""
RAY_DATA = ("ray_data.py", "--actors", str(CORES), "--threads", "1")
HYRAX = ("hyrax_infer/hyrax_infer.py", "--model", "PeerEnsemble")
Way = Callable[[int], dict[str, float]]
"""Function that runs a peer with a batch size and returns its rates."""

_LOG = logging.getLogger(__name__)


def measure(folder: Path, hyrax_python: str | None, scratch: Path, sizes: Sizes) -> dict[str, float]:
    """Measure in turns the cutouts per second of each peer and of ours, and the ratios of ours over theirs."""
    data = Path(os.environ.get("PEERS_DATA", folder / "data")).resolve()
    n, shards = write_shards(data, scratch / "shards")
    units = find_units(str(shards))
    threshold = _threshold(units)
    ways: dict[str, Way] = {"ray_data": partial(_ray_data, folder, data, n, scratch)}
    if hyrax_python is not None:
        ways["hyrax"] = partial(_hyrax, folder, data, hyrax_python, scratch)
    batches = {peer: fastest_batch(peer, way) for peer, way in ways.items()}
    turns: list[Callable[[], dict[str, float]]] = [partial(way, batches[peer]) for peer, way in ways.items()]
    modes = ["", "_bfloat16"] if fast_precision(resolve_engine("auto")) else [""]
    turns += [partial(_ours, mode, units, threshold, shards, scratch) for mode in modes]
    runs: Runs = {}
    for _ in range(sizes.rounds):
        for turn in turns:
            for name, value in turn().items():
                runs.setdefault(name, []).append(value)
    for peer in ways:
        for mode in modes:
            runs[f"over_{peer}{mode}"] = over(runs[f"ours_on_peers_cutouts_per_s{mode}"], runs[f"{peer}_per_s"])
            with_start = runs[f"ours_on_peers_cutouts_with_start_per_s{mode}"]
            runs[f"over_{peer}_with_start{mode}"] = over(with_start, runs[f"{peer}_with_start_per_s"])
        runs[f"core_ms_per_cutout_{peer}"] = core_ms(runs[f"{peer}_per_s"], CORES)
    return {**spreads(runs), **{f"{peer}_batch": batch for peer, batch in batches.items()}, "n_peers_cutouts": n}


def fastest_batch(peer: str, way: Way) -> int:
    """Return the batch size with the fastest whole command: a steady rate omits the first batch and favours large ones."""
    tried = {batch: way(batch)[f"{peer}_with_start_per_s"] for batch in BATCHES}
    _LOG.info("%s: cutouts/s by batch size, whole command: %s", peer, tried)
    return max(tried, key=tried.__getitem__)


def write_shards(data: Path, folder: Path) -> tuple[int, Path]:
    """Write the same cutouts as shards of nearly equal size; return the number of cutouts and the folder."""
    stack = np.load(data / "stack.npy", mmap_mode="r")
    for number, rows in enumerate(np.array_split(stack, max(len(stack) // ROWS, 1))):
        stamps = {band: np.array(rows[band]) for band in CHALLENGE.grids}
        write_shard(folder, number, np.array(rows["id"]), stamps, CHALLENGE)
    return len(stack), folder


def _ours(mode: str, units: list[Unit], threshold: float, shards: Path, scratch: Path) -> dict[str, float]:
    """Measure warm actors on all units, and the whole command, which starts Ray and the actors and writes the catalogue."""
    package, n = _package(), sum(unit.n_rows for unit in units)
    config = ScanConfig(candidate_threshold=threshold, sweep=bool(mode))
    with ray_session(num_cpus=CORES), Crew(package, config, {"shards": units}, CORES, scratch, 0) as crew:
        warm = crew.rate("shards")
    command = [str(Path(sys.executable).with_name("lensscan")), "scan", str(shards), "--out", str(scratch / uuid4().hex)]
    options = ["--night", NIGHT.isoformat(), "--ensemble", str(package), "--threshold", str(threshold), "--maps", "0"]
    options += [] if mode else ["--exact"]
    whole = n / seconds_of(lambda: subprocess.run([*command, *options], check=True, capture_output=True))
    return {f"ours_on_peers_cutouts_per_s{mode}": warm, f"ours_on_peers_cutouts_with_start_per_s{mode}": whole}


def _ray_data(folder: Path, data: Path, n: int, scratch: Path, batch: int) -> dict[str, float]:
    said: dict[str, Any] = {}
    command = [sys.executable, *RAY_DATA, "--batch", str(batch), "--data", str(data), "--out", str(scratch / "ray-data")]
    seconds = seconds_of(lambda: said.update(_said(folder, command)))
    return {"ray_data_per_s": said["steady"], "ray_data_with_start_per_s": n / seconds}


def _hyrax(folder: Path, data: Path, python: str, scratch: Path, batch: int) -> dict[str, float]:
    options = ["--batch", str(batch), "--data", str(data), "--work", str(scratch / "hyrax")]
    said = _said(folder, [python, *HYRAX, *options])
    return {"hyrax_per_s": said["total"], "hyrax_with_start_per_s": said["command"]}


def _said(folder: Path, command: list[str]) -> dict[str, Any]:
    """Run a script and return the result that it prints."""
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if done.returncode or len(lines) != 1:
        raise RuntimeError(f"{command[1]} ended with code {done.returncode}: {done.stderr[-2000:]}")
    return json.loads(lines[0].removeprefix("RESULT "))


def _threshold(units: list[Unit]) -> float:
    """Return the score that one cutout in a hundred reaches."""
    scanner = open_scanner(_package(), ScanConfig(sweep=False), CORES)
    p_lens = np.concatenate([scanned(unit, scanner, NIGHT.isoformat())["p_lens"].to_numpy() for unit in units])
    return float(np.quantile(p_lens, 1 - CANDIDATES))


def _package() -> Path:
    return find_package(PUBLISHED, Settings.read().ensembles_dir)
