"""Measure `lensscan vet` on a catalogue of a million candidates, as a grader waits for it in a real browser.

python -m tests.benchmarks.vetting FOLDER

It makes the catalogue in FOLDER if it is not there, which takes some minutes. 2000 candidates, the best 100 of each of 20
units, have pixels. Printed are seconds: from the start of the command to its address; from the request of the page to the first
subject on the screen; from a key to the next subject on the screen (median and largest of fifty); to a mosaic of a hundred;
and to the next mosaic.
"""

import json
import statistics
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
from scanner.catalogue.plan import ScanConfig, freeze, make_plan
from scanner.catalogue.seal import seal
from scanner.catalogue.units import InputFile, Unit, id_digest
from tests.benchmarks.publication import rows
from tests.browser import headless_browser
from tests.scanner.catalogue_parts import NETWORKS, EnsembleName

N_UNITS, UNIT_ROWS, N_MAPPED = 20, 50_000, 100
N_KEYS = 50
DRAWN = '#stage[data-drawn]:not([data-drawn=""])'
"""The part of the page that holds the images, once all of them are there."""


def make_catalogue(root: str) -> None:
    """Write a sealed plan of a million candidates."""
    ids = {f"{i:02}": i * UNIT_ROWS + np.arange(UNIT_ROWS) for i in range(N_UNITS)}
    files = {"catalogue": InputFile(uri="/data/x", size=1, etag="1")}
    units = [
        Unit(unit_id=name, kind="tile", files=files, n_rows=UNIT_ROWS, id_digest=id_digest(own)) for name, own in ids.items()
    ]
    plan = make_plan(None, EnsembleName(), ScanConfig(maps_per_unit=N_MAPPED), units)
    freeze(plan, root)
    for unit in plan.units:
        light = rows(unit.unit_id, "", ids[unit.unit_id], ids[unit.unit_id] % 2000, maps=False)
        commit(_with_maps(light, np.random.default_rng(int(unit.unit_id))), unit, plan, root, "try")
    seal(plan, root)
    show(plan, root)


def _with_maps(light: pa.Table, rng: np.random.Generator) -> pa.Table:
    """Return rows whose best have maps."""
    best = np.argsort(-light["p_lens"].to_numpy(), kind="stable")[:N_MAPPED]
    values: dict[str, np.ndarray] = {
        column.name: rng.integers(0, 100, (N_MAPPED, column.n_values)).astype(column.type.value_type.to_pandas_dtype())
        for column in MAP_COLUMNS
    }
    values |= {column.name: rng.random(N_MAPPED) for column in EXPLANATION_COLUMNS}
    columns = map_arrays(light.num_rows, best, values)
    empty = {column.name: pa.nulls(light.num_rows, column.type) for column in PHOTOMETRY_COLUMNS}
    schema = unit_schema(NETWORKS, maps=True)
    found = {**dict(zip(light.column_names, light.columns, strict=True)), **empty, **columns}
    return pa.Table.from_arrays([found[name] for name in schema.names], schema=schema)


def measure(root: str) -> dict[str, float]:
    """Return the seconds that a grader waits."""
    found = {}
    command = ["vet", root, "--grader", "bench", "--json", "--no-open", "--gold", "0", "--votes", f"{root}-votes"]
    start = time.monotonic()
    # As the installed program starts.
    code = "import lensscan; lensscan.main()"
    with subprocess.Popen([sys.executable, "-c", code, *command], stdout=subprocess.PIPE, text=True) as server:
        said = json.loads(server.stdout.readline())
        found["start"] = time.monotonic() - start
        try:
            with headless_browser() as browser:
                found |= _in_browser(browser.new_page(), said["open"])
        finally:
            server.kill()
    return {name: round(seconds, 3) for name, seconds in found.items()}


def _in_browser(page, address: str) -> dict[str, float]:
    start = time.monotonic()
    page.goto(address, wait_until="commit")
    page.wait_for_selector(DRAWN)
    first = time.monotonic() - start
    page.wait_for_timeout(500)
    # The browser measures, so that the protocol of the test adds nothing.
    page.evaluate(
        """() => {
          window.took = [];
          const stage = document.getElementById('stage');
          let pressed = 0;
          document.addEventListener('keydown', () => { pressed = performance.now(); }, true);
          new MutationObserver(() => {
            if (stage.dataset.drawn) requestAnimationFrame(() => window.took.push((performance.now() - pressed) / 1000));
          }).observe(stage, { attributes: true, attributeFilter: ['data-drawn'] });
        }"""
    )
    for i in range(N_KEYS):
        page.keyboard.press("xbc"[i % 3])
        page.wait_for_timeout(150)
    took = page.evaluate("window.took")
    start = time.monotonic()
    page.keyboard.press("m")
    page.wait_for_selector(f"{DRAWN} .mosaic button:nth-child(100)")
    mosaic = time.monotonic() - start
    page.wait_for_timeout(2000)
    page.evaluate("window.took.length = 0")
    # One of the steps leaves the last row of the mosaic, and takes longest.
    for _ in range(10):
        page.keyboard.press("ArrowDown")
        page.wait_for_timeout(300)
    return {
        "first_subject": first,
        "next_median": statistics.median(took),
        "next_largest": max(took),
        "mosaic_of_100": mosaic,
        "next_mosaic_of_100": page.evaluate("Math.max(...window.took)"),
    }


if __name__ == "__main__":
    place = Path(sys.argv[1]).resolve() / "million"
    if not place.exists():
        make_catalogue(str(place))
    sys.stdout.write(f"{json.dumps(measure(str(place)))}\n")
