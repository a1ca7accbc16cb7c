"""Measure a publication on synthetic catalogues: seconds of one more night, and memory of sealing and publishing with maps.

python -m tests.benchmarks.publication FOLDER [COLLECTION]         seconds; COLLECTION may be an s3:// prefix
python -m tests.benchmarks.publication FOLDER --memory N --show    memory in MB for N candidates with maps: sealing, night
python -m tests.benchmarks.publication FOLDER --memory N --publish of the publication, after the command above
"""

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from scanner.catalogue.columns import unit_schema
from scanner.catalogue.ledger import publish as commit
from scanner.catalogue.map_columns import EXPLANATION_COLUMNS, MAP_COLUMNS
from scanner.catalogue.night_file import show
from scanner.catalogue.photometry_columns import PHOTOMETRY_COLUMNS
from scanner.catalogue.plan import Plan, ScanConfig, freeze, make_plan
from scanner.catalogue.query import query
from scanner.catalogue.seal import seal
from scanner.catalogue.selection import Circle
from scanner.catalogue.units import InputFile, Unit, id_digest
from scanner.catalogue.wanted import Wanted
from scanner.hats.publish import publish
from tests.scanner.catalogue_parts import NETWORKS, EnsembleName

N_ROWS, N_PIXELS, N_NEW, N_NEW_PIXELS = 1_000_000, 2000, 20_000, 40
UNIT_ROWS = 1000
"""Rows of a unit with maps; no unit may have more maps."""


def rows(unit_id: str, night: str, ids: np.ndarray, places: np.ndarray, *, maps: bool) -> pa.Table:
    """Return a unit's rows, all candidates; a row lies in the HEALPix pixel of order 5 that `places` names."""
    from cdshealpix import nested

    rng, n = np.random.default_rng(len(ids)), len(ids)
    inside = places.astype(np.uint64) * np.uint64(4**10) + rng.integers(0, 4**10, n, dtype=np.uint64)
    lon, lat = nested.healpix_to_lonlat(inside, 15, num_threads=1)
    values = {
        "object_id": ids,
        "candidate_id": [f"EUCL J{i:020}" for i in ids],
        "ra": lon.deg,
        "dec": lat.deg,
        **{
            name: np.full(n, value)
            for name, value in (("tile", unit_id), ("night", night), ("status", "scored"), ("detail", ""))
        },
        **{name: rng.random(n, np.float32) for name in ("p_OU_66", "p_OU_200")},
        "p_lens": rng.random(n, np.float32) / 2 + np.float32(0.5),
        "subclass": np.full(n, "single"),
        "disagreement": rng.random(n, np.float32),
        "stage": np.ones(n, np.int16),
        "precision": np.full(n, "float32"),
    }
    if maps:
        values |= {column.name: rng.random(n, np.float32) for column in (*PHOTOMETRY_COLUMNS, *EXPLANATION_COLUMNS)}
        for column in MAP_COLUMNS:
            kind = column.type.value_type.to_pandas_dtype()
            # Rows that look alike: the disk must hold several copies of all maps.
            pixels = (np.tile(rng.integers(0, 100, column.n_values), n) + np.repeat(ids % 100, column.n_values)).astype(kind)
            offsets = pa.array(np.arange(n + 1, dtype=np.int32) * column.n_values)
            values[column.name] = pa.ListArray.from_arrays(offsets, pa.array(pixels))
    schema = unit_schema(NETWORKS, maps=maps)
    arrays = [pa.array(values[f.name], f.type) if f.name in values else pa.nulls(n, f.type) for f in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def add_units(root: str, night: str, first_id: int, n_rows: int, n_pixels: int, *, unit_rows: int, maps: bool = False) -> Plan:
    """Commit a night of synthetic units, and return its plan."""
    starts = range(0, n_rows, unit_rows)
    ids = {f"{i}": first_id + np.arange(start, min(start + unit_rows, n_rows)) for i, start in enumerate(starts)}
    units = [
        Unit(
            unit_id=name,
            kind="tile",
            files={"catalogue": InputFile(uri="/data/x", size=1, etag="1")},
            n_rows=len(own),
            id_digest=id_digest(own),
        )
        for name, own in ids.items()
    ]
    plan = make_plan(night, EnsembleName(), ScanConfig(maps_per_unit=unit_rows if maps else 0), units)
    freeze(plan, root)
    for unit in plan.units:
        own = ids[unit.unit_id]
        commit(rows(unit.unit_id, night, own, (own - first_id) * n_pixels // n_rows, maps=maps), unit, plan, root, "try")
    return plan


def seconds_of_one_more_night(folder: Path, collection: str) -> dict[str, float]:
    """Publish a million rows in 2000 leaves, then one more night, then nothing; measure queries too."""
    root, found = str(folder / "catalogue"), {}
    if not (folder / "catalogue").exists():
        plan = add_units(root, "2026-01-01", 0, N_ROWS, N_PIXELS, unit_rows=50_000)
        seal(plan, root)
        show(plan, root)
    found["first"], done = _timed(lambda: publish(root, collection))
    found["n_leaves"] = done.n_leaves
    new = str(int(time.time()) % 28 + 1).zfill(2)
    plan = add_units(root, f"2026-02-{new}", 10**9, N_NEW, N_NEW_PIXELS, unit_rows=10_000)
    seal(plan, root)
    show(plan, root)
    found["one_more_night"], done = _timed(lambda: publish(root, collection))
    found |= {"n_leaves_after": done.n_leaves, "n_leaves_written": done.n_leaves_written, "n_rows": done.n_rows}
    found["unchanged"], _ = _timed(lambda: publish(root, collection))
    for name in ("cold", "warm"):
        found[f"query_top_{name}"], _ = _timed(lambda: query(root, Wanted(limit=100)))
        found[f"query_cone_{name}"], _ = _timed(lambda: query(root, Wanted(circle=Circle(ra_deg=45, dec_deg=0, radius_deg=1))))
    return found


def memory(folder: Path, n: int) -> dict[str, float]:
    """Return the peak memory in MB before, after sealing, after writing the night's file, and after publishing."""
    root, found = str(folder / f"catalogue-{n}"), {}
    plan = add_units(root, "2026-01-01", 0, n, 100, unit_rows=UNIT_ROWS, maps=True)
    found["before"] = _peak_mb()
    found["seal_s"], _ = _timed(lambda: seal(plan, root))
    found["sealed"] = _peak_mb()
    if "--show" in sys.argv:
        show(plan, root)
        found["shown"] = _peak_mb()
    return found


def memory_of_publication(folder: Path, n: int) -> dict[str, float]:
    """Return the peak memory in MB of a publication of the catalogue that `memory` left."""
    publish_s, _ = _timed(lambda: publish(str(folder / f"catalogue-{n}"), str(folder / f"collection-{n}")))
    return {"publish_s": publish_s, "published": _peak_mb()}


def _timed(act):
    start = time.monotonic()
    done = act()
    return round(time.monotonic() - start, 2), done


def _peak_mb() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    if "--memory" in sys.argv:
        measure = memory_of_publication if "--publish" in sys.argv else memory
        result = measure(place, int(sys.argv[sys.argv.index("--memory") + 1]))
    else:
        result = seconds_of_one_more_night(place, sys.argv[2] if len(sys.argv) > 2 else str(place / "collection"))
    sys.stdout.write(f"{json.dumps(result)}\n")
