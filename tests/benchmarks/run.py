"""`make bench`: compare the scan with this machine's limit and with other methods, as ratios measured in one run.

Writes `results.json` and `RESULTS.md` beside this file, or the files named by `--out`; figures of parts that are not run stay
unchanged. `figures.py` describes each figure, `peers.py` the requirements of the part of that name.
"""

import argparse
import json
import logging
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from scanner.networks.engines import fast_precision, resolve_engine
from tests.benchmarks import (
    each_source,
    explain,
    meaning,
    night_cost,
    one_process,
    peers,
    scan_speed,
    simulation_speed,
    stored_maps,
    training_speed,
)
from tests.benchmarks.figures import part_of
from tests.benchmarks.report import beyond_the_limit, markdown
from tests.benchmarks.sizes import FULL, QUICK
from tests.circumstances import commit, processor

RESULTS = Path(__file__).with_name("results.json")
PARTS = ("scan", "simulation", "maps", "full_tile", "night_cost", "training", "peers")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS[:3])
    parser.add_argument("--peers", type=Path, help="folder of the peers' scripts, for the part of that name")
    parser.add_argument("--hyrax-python", help="interpreter that has hyrax, for the part peers")
    parser.add_argument("--out", type=Path, help="file for the results, with a table of the same name beside it")
    parser.add_argument("--quick", action="store_true", help="check on little data that all parts run; no files without --out")
    options = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(message)s")
    logging.getLogger("tests.benchmarks").setLevel(logging.INFO)
    if "peers" in options.parts and options.peers is None:
        parser.error("the part peers needs --peers FOLDER")
    sizes = QUICK if options.quick else FULL
    measured: dict[str, Callable[[Path], dict[str, float]]] = {
        "scan": lambda scratch: scan_speed.measure(scratch, sizes),
        "simulation": lambda scratch: simulation_speed.measure(scratch, sizes),
        "maps": lambda _: explain.measure(sizes.rounds) | meaning.measure() | stored_maps.measure() | each_source.measure(),
        "full_tile": lambda scratch: one_process.full_tile(scratch, sizes.rounds),
        "night_cost": lambda scratch: night_cost.measure(scratch, sizes),
        "training": lambda _: training_speed.measure(sizes),
        "peers": lambda scratch: peers.measure(options.peers, options.hyrax_python, scratch, sizes),
    }
    file = options.out or (None if options.quick else RESULTS)
    results: dict[str, Any] = json.loads(file.read_text()) if file and file.exists() else {}
    before = results.pop("machine", {}).get("measured", {})
    now, about = commit(), machine()
    for part in options.parts:
        # Each part has its own folder, because the tiles of all parts together would fill much of a disk.
        with tempfile.TemporaryDirectory() as folder:
            results = merged(results, part, measured[part](Path(folder)))
        before = measured_by(part, options.parts, now, before)
        about |= {"commit": now, "measured": before}
        if file:
            file.write_text(json.dumps({**results, "machine": about}, indent=1) + "\n")
            table = file.with_name("RESULTS.md") if file == RESULTS else file.with_suffix(".md")
            table.write_text(markdown(results, about))
    sys.stdout.write(markdown(results, about))
    if names := beyond_the_limit(results):
        sys.exit(f"rates must not exceed the limit, got {', '.join(names)} above 1; was the machine busy with other work?")


def merged(results: Mapping[str, float], part: str, found: Mapping[str, float]) -> dict[str, float]:
    """Return the results with a part's old figures replaced by its new ones, without figures that no part measures.

    Raises:
        ValueError: `figures.py` does not list a figure that the part measured.
    """
    if unexplained := sorted(name for name in found if part_of(name) != part):
        raise ValueError(f"figures.py must list every figure that the part {part} measures, got {', '.join(unexplained)}")
    kept = {name: value for name, value in results.items() if part_of(name) not in {None, part}}
    return dict(sorted((kept | found).items()))


def measured_by(part: str, parts: Sequence[str], now: str, before: Mapping[str, str]) -> dict[str, str]:
    """Return, for each part, the date, the commit and the command of its figures."""
    today = datetime.now(UTC).date().isoformat()
    return {**before, part: f"{today}, commit {now}: python -m tests.benchmarks.run --parts {' '.join(parts)}"}


def machine() -> dict[str, Any]:
    """Return the machine and the versions for which the figures hold."""
    return {
        "processor": processor(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "openvino", "ray", "numpy")},
        "engine": resolve_engine("auto"),
        "sweep": fast_precision("auto") or "none",
    }


if __name__ == "__main__":
    main()
