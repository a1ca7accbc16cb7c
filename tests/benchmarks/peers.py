"""What others do with the same seven networks and cutouts: scripts of a folder beside this repository, run as they are.

They read `data/` (`make_data.py N data` there) and the published weights that `PEERS_WEIGHTS` names, and print a line
`RESULT {"peer": ..., "total": cutouts per second}`.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from infra.settings import Settings
from scanner.catalogue.plan import ScanConfig
from scanner.catalogue.units import find_units
from scanner.networks.locate import find_package
from scanner.pixels.geometry import CHALLENGE
from scanner.pixels.shards import ROWS_PER_SHARD, encode_shard, shard_table
from scanner.scan import scan_unit
from scanner.scoring import open_scanner

PUBLISHED = "wilde2022"
"""Ensemble of the same weights, as `lensscan models import-published` makes it."""
CANDIDATES = 0.01
"""Share of the cutouts that are scored twice; a survey has far fewer."""


def measure(folder: Path, hyrax_python: str | None, scratch: Path) -> dict[str, float]:
    """Cutouts per second of each, and ours over theirs."""
    ray_data = _rate(folder, [sys.executable, "ray_data.py", "--actors", "2", "--threads", "1", "--batch", "16"], scratch)
    found = {"ray_data_per_s": ray_data, "ours_on_peers_cutouts_per_s": ours(folder / "data", scratch)}
    found["over_ray_data"] = found["ours_on_peers_cutouts_per_s"] / ray_data
    if hyrax_python is not None:
        script = [hyrax_python, "hyrax_infer/hyrax_infer.py", "--model", "PeerEnsemble", "--work", str(scratch / "work")]
        found["hyrax_per_s"] = _rate(folder, script, scratch)
        found["over_hyrax"] = found["ours_on_peers_cutouts_per_s"] / found["hyrax_per_s"]
    return found


def ours(data: Path, scratch: Path) -> float:
    """The same cutouts as shards, through `scan_unit` on all cores."""
    stack = np.load(data / "stack.npy", mmap_mode="r")
    shards = scratch / "peers-shards"
    shards.mkdir()
    for start in range(0, len(stack), ROWS_PER_SHARD):
        rows = stack[start : start + ROWS_PER_SHARD]
        stamps = {band: np.array(rows[band]) for band in CHALLENGE.grids}
        content = encode_shard(shard_table(np.array(rows["id"]), stamps, {}, CHALLENGE))
        (shards / f"shard-{start:05d}.parquet").write_bytes(content)
    package = find_package(PUBLISHED, Settings.read().ensembles_dir)
    units = find_units(str(shards))
    threads = os.cpu_count() or 1
    p_lens = scan_unit(units[0], open_scanner(package, ScanConfig(), threads), "2026-01-01")["p_lens"].to_numpy()
    scanner = open_scanner(package, ScanConfig(candidate_threshold=float(np.quantile(p_lens, 1 - CANDIDATES))), threads)
    scan_unit(units[0], scanner, "2026-01-01")
    begun = time.perf_counter()
    for unit in units:
        scan_unit(unit, scanner, "2026-01-01")
    return len(stack) / (time.perf_counter() - begun)


def _rate(folder: Path, command: list[str], scratch: Path) -> float:
    out = scratch / f"out-{Path(command[1]).stem}"
    done = subprocess.run([*command, "--out", str(out)], cwd=folder, check=True, capture_output=True, text=True)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    return float(json.loads(line.removeprefix("RESULT "))["total"])
