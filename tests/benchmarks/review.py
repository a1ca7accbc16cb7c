"""Measure a report and a comparison of synthetic catalogues of a million rows: seconds, size of the page, peak memory.

python -m tests.benchmarks.review FOLDER

One catalogue has two nights of a million rows each, of which 3 % are candidates and 2000 have pixels; the other has a million
candidates without pixels. Both stay in FOLDER for another run. Seconds and memory are those of a command, started afresh.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from scanner.catalogue.columns import unit_schema
from scanner.catalogue.ledger import publish as commit
from scanner.catalogue.map_columns import EXPLANATION_COLUMNS, MAP_COLUMNS
from scanner.catalogue.maps import map_arrays
from scanner.catalogue.night_file import show
from scanner.catalogue.photometry_columns import PHOTOMETRY_COLUMNS
from scanner.catalogue.plan import Plan, ScanConfig, freeze, make_plan
from scanner.catalogue.seal import seal
from scanner.catalogue.units import InputFile, Unit, id_digest
from tests.benchmarks.publication import add_units
from tests.scanner.catalogue_parts import NETWORKS, EnsembleName

N_ROWS, UNIT_ROWS, N_MAPS = 1_000_000, 50_000, 100
NIGHTS = ("2026-01-01", "2026-01-02")
THRESHOLD = 0.001
SIDE_DEG = 0.53
"""Side of a tile."""


def rows(number: int, night: str, n: int, seed: int) -> pa.Table:
    """Return a tile's rows at random places; 3 % have a `p_lens` of at least 0.001, and the best hundred have maps."""
    rng = np.random.default_rng([seed, number])
    # The same objects in every night, with other noise.
    odds = 10 ** (np.random.default_rng(number).normal(-6, 1.5, n) + rng.normal(0, 0.5, n))
    p_lens = (odds / (1 + odds)).astype(np.float32)
    is_rejected = rng.random(n) < 0.01
    order = np.argsort(np.where(is_rejected, -1, p_lens))[::-1]
    is_candidate = ~is_rejected & (p_lens.astype(np.float64) >= THRESHOLD)
    best = order[: min(N_MAPS, int(is_candidate.sum()))]
    ids, place = number * UNIT_ROWS + np.arange(n), np.random.default_rng(number).random((2, n))
    status = np.where(is_rejected, "rejected:blank", "scored")
    values = {
        "object_id": ids,
        "candidate_id": [f"EUCL J{i:020}" for i in ids],
        "ra": 50 + (number % 5 + place[0]) * SIDE_DEG,
        "dec": -28 + (number // 5 + place[1]) * SIDE_DEG,
        "tile": np.full(n, f"{number}"),
        "night": np.full(n, night),
        "status": status,
        "detail": np.where(is_rejected, "VIS: all pixels are zero", ""),
        "subclass": np.where(is_rejected, "", rng.choice(["single", "compound_arc", "double_ring"], n)),
        "stage": np.where(is_rejected, 0, 1).astype(np.int16),
        "precision": np.where(is_rejected, "", "float32"),
    }
    scores = {"p_OU_66": rng.random(n, np.float32), "p_OU_200": rng.random(n, np.float32), "p_lens": p_lens}
    scores["disagreement"] = rng.random(n, np.float32)
    values |= {name: pa.array(numbers, mask=is_rejected) for name, numbers in scores.items()}
    values |= {c.name: pa.array(rng.random(n, np.float32), mask=~is_candidate) for c in PHOTOMETRY_COLUMNS}
    stored = {c.name: np.full(len(best), 0.05, np.float32) for c in EXPLANATION_COLUMNS}
    for column in MAP_COLUMNS:
        kind = column.type.value_type.to_pandas_dtype()
        # Noise, as in the sky: pictures of anything smoother would be smaller files.
        stored[column.name] = np.clip(rng.normal(30, 20, (len(best), column.n_values)), 0, 255).astype(kind)
    values |= map_arrays(n, best, stored)
    schema = unit_schema(NETWORKS, maps=True)
    arrays = [
        values[f.name] if isinstance(values.get(f.name), pa.Array) else pa.array(values.get(f.name, [None] * n), f.type)
        for f in schema
    ]
    return pa.Table.from_arrays([array.cast(field.type) for array, field in zip(arrays, schema, strict=True)], schema=schema)


def make(root: str, night: str, n_rows: int, seed: int) -> Plan:
    """Commit, seal and show a night of synthetic tiles."""
    numbers = range(-(-n_rows // UNIT_ROWS))
    tables = {str(number): min(UNIT_ROWS, n_rows - number * UNIT_ROWS) for number in numbers}
    files = {"catalogue": InputFile(uri="/data/x", size=1, etag=str(seed))}
    units = [
        Unit(unit_id=name, kind="tile", files=files, n_rows=n, id_digest=id_digest(int(name) * UNIT_ROWS + np.arange(n)))
        for name, n in tables.items()
    ]
    plan = make_plan(night, EnsembleName(), ScanConfig(maps_per_unit=N_MAPS, candidate_threshold=THRESHOLD), units)
    freeze(plan, root)
    for unit in plan.units:
        commit(rows(int(unit.unit_id), night, unit.n_rows, seed), unit, plan, root, "try")
    seal(plan, root)
    show(plan, root)
    return plan


MEASURED = """
import atexit, re, sys
from pathlib import Path
# Unlike what getrusage returns, this peak does not count the process that started this one.
atexit.register(lambda: sys.stderr.write(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1]))
sys.argv = ["lensscan", *{words}]
from flows.cli.main import main
main()
"""


def measured(*words: str) -> dict[str, float | str]:
    """Run a command of lensscan; return its time and the peak memory of its process."""
    start = time.monotonic()
    command = [sys.executable, "-c", MEASURED.replace("{words}", repr(list(words)))]
    done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=True)
    peak_mb = round(int(done.stderr.splitlines()[-1]) / 1024)
    return {"seconds": round(time.monotonic() - start, 1), "peak_mb": peak_mb, "says": done.stdout.strip()[-300:]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    usual, many, page = str(folder / "usual"), str(folder / "many"), folder / "page.html"
    if not Path(usual).exists():
        for seed, night in enumerate(NIGHTS, 1):
            make(usual, night, N_ROWS, seed)
    if not Path(many).exists():
        plan = add_units(many, NIGHTS[0], 0, N_ROWS, 2000, unit_rows=UNIT_ROWS)
        seal(plan, many)
        show(plan, many)
    commands = {
        "report": ("report", usual, "--night", NIGHTS[0], "--out"),
        "report_of_a_million_candidates": ("report", many, "--out"),
        "diff_of_nights": ("diff", usual, "--nights", *NIGHTS, "--report"),
        "diff_without_common_objects": ("diff", usual, many, "--night", NIGHTS[0], "--report"),
    }
    found = {}
    for name, command in commands.items():
        found[name] = measured(
            *command, str(page), "--overwrite", *(["--out", str(folder / "x.parquet")] * (command[0] == "diff"))
        )
        found[name]["page_mb"] = round(page.stat().st_size / 1e6, 1)
    sys.stdout.write(f"{json.dumps(found, indent=1)}\n")


if __name__ == "__main__":
    main()
