"""A night of small shards, scanned by `scan_driver` in a separate process or in this one, and the undisturbed run."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.store.storage import list_files, read_bytes
from scanner.scan.request import ScanRequest
from scanner.sources.shards import encode_shard, shard_table
from scanner.vocabulary.geometry import CHALLENGE
from scanner.workers import actors, local
from scanner.workers.run import scan_night
from tests.faults.harness import harm, patience
from tests.faults.harness.worker_faults import MARK, FaultyScanner
from tests.scanner.ensembles import SPECS, write_test_package

NIGHT = date(2026, 1, 1)
N_UNITS, N_ROWS = 10, 24
BAD = {3: (5,), 6: (0, 23)}
"""Rows with a fault, by number of the unit."""
THRESHOLD = 0.45
"""Threshold on p_lens: a sixth of the rows are candidates, and the sweep leaves half of the others."""


def write_shards(folder, n_units, n_rows, bad):
    folder.mkdir(parents=True)
    for unit in range(n_units):
        rng = np.random.default_rng(unit)
        stamps = {
            band: rng.exponential(size=(n_rows, grid.n_pixels, grid.n_pixels)).astype(np.float32)
            for band, grid in CHALLENGE.grids.items()
        }
        for row in bad.get(unit, ()):
            stamps["VIS"][row, 0, 0] = MARK
        table = shard_table(np.arange(n_rows) + unit * n_rows, stamps, {}, CHALLENGE)
        (folder / f"shard-{unit:05d}.parquet").write_bytes(encode_shard(table))
    return folder


def start(night, root, *options, source=None, **faults):
    """Start to scan the night's shards, or those in `source`, in a separate process with `faults` in its environment."""
    command = [sys.executable, "-m", "tests.faults.harness.scan_driver", source or night.source, root, night.package, *options]
    environment = {**os.environ, "FAULT_FLAGS": tempfile.mkdtemp(dir=night.folder), **faults}
    return subprocess.Popen(
        [str(part) for part in command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def end(process, seconds=200):
    """Wait for the process; return its summary, or its stderr if it failed."""
    try:
        out, err = process.communicate(timeout=patience.scaled(seconds))
    finally:
        kill_group(process)
    if patience.has_ray_timed_out(err):
        raise patience.TimedOut(err)
    (answer,) = [line for line in out.splitlines() if line.startswith("{")] or [None]
    return json.loads(answer) if process.returncode == 0 and answer else err


def done(process):
    """Return the summary of a run that must succeed."""
    summary = end(process)
    assert isinstance(summary, dict), summary
    return summary


def scan_here(night, root, *, source=None, workers=2, **faults):
    """Scan in this process and its Ray, with `faults` in the environment of the workers; return the summary."""
    settings = actors.thread_settings
    # The workers need the store's variables too: Ray may have been started before the store.
    store = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(actors, "UnitScanner", FaultyScanner)
        patch.setattr(actors, "thread_settings", lambda threads: {**settings(threads), **store, **faults})
        return _summary(night, root, source, workers, "local")


def scan_without_ray(night, root, *, source=None, **faults):
    """Scan with a worker that this process starts, with `faults` in its environment; return the summary."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local, "SCANNER", f"{FaultyScanner.__module__}:{FaultyScanner.__name__}")
        for name, value in faults.items():
            patch.setenv(name, value)
        return _summary(night, root, source, 1, None)


def _summary(night, root, source, workers, ray_address):
    source = str(source or night.source)
    request = ScanRequest(input_uri=source, night=NIGHT, package=night.package, candidate_threshold=THRESHOLD)
    return scan_night(request, str(root), workers=workers, ray_address=ray_address).model_dump()


def kill_group(process):
    """Kill the driver and Ray with all processes that they started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    if not process.stdout.closed:
        process.communicate()


def unit_files(root):
    return sorted((Path(root) / "_scan" / "units").rglob("*.unit"))


def rows(root, *, without=frozenset()):
    """Return the rows of the catalogue, sorted by object id, and the number of unit files."""
    paths = unit_files(root)
    table = pa.concat_tables([pq.read_table(path) for path in paths]).sort_by("object_id")
    return [row for row in table.to_pylist() if row["object_id"] not in without], len(paths)


def fetch(root_uri, folder):
    """Copy the files of a catalogue in a store to disk."""
    for file in list_files(root_uri):
        place = folder / file.uri.removeprefix(f"{root_uri}/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(read_bytes(file.uri))
    return folder


def n_committed(root):
    return len(unit_files(root))


class Night:
    """Shards, a package, and the catalogue of an undisturbed run, made by a driver or by `scan`."""

    def __init__(self, folder, n_units=N_UNITS, n_rows=N_ROWS, bad=BAD, scan=None):
        self.folder, self.n_units, self.n_rows, self.bad = folder, n_units, n_rows, bad
        self.source = write_shards(folder / "shards", n_units, n_rows, bad)
        self.package = folder / "package"
        write_test_package(self.package, SPECS[:1], seed=2)
        self.golden = folder / "golden"
        self.undisturbed = scan(self, self.golden) if scan else done(start(self, self.golden))
        assert self.undisturbed["rows_by_status"] == {"scored": n_units * n_rows}, self.undisturbed
        assert self.precisions == {"float32", "bfloat16"}, "the sweep must settle some rows and leave others to be scored again"
        assert 0 < self.undisturbed["n_candidates"] < n_units * n_rows

    @property
    def precisions(self):
        return {row["precision"] for row in rows(self.golden)[0]}

    @property
    def poison(self):
        """Return the ids of the rows with a fault."""
        return {unit * self.n_rows + row for unit, places in self.bad.items() for row in places}

    def check(self, root, without=frozenset()):
        """Check that every row is there once, in whole files, with the numbers and maps of the undisturbed run, bit for bit."""
        harm.assert_none(self.harm(root, without))

    def check_rejected(self, root, status):
        """Check the status of the rows with a fault."""
        found = [row for row in rows(root)[0] if row["object_id"] in self.poison]
        expected = [{"object_id": object_id, "status": status, "p_lens": None} for object_id in sorted(self.poison)]
        harm.assert_none(harm.compare([{name: row[name] for name in expected[0]} for row in found], expected))

    def harm(self, root, without=frozenset()):
        """Return the harm to all rows except `without`, in the unit files and in the candidates."""
        n_rows = {path.name: self.n_rows for path in unit_files(self.golden)}
        units = self._compared(*(unit_files(place) for place in (root, self.golden)), without, n_rows)
        candidates = (sorted((Path(place) / "candidates").rglob("*.parquet")) for place in (root, self.golden))
        return units + self._compared(*candidates, without)

    def _compared(self, found, expected, without, n_rows=None):
        found, torn = harm.read_files(found, n_rows)
        expected, _ = harm.read_files(expected)
        return torn + harm.compare(*(_without(tables, without) for tables in (found, expected)))


def _without(tables, ids):
    """Return the rows of tables except some ids, without the plan id, which changes with the location of the input."""
    rows = [row for table in tables for row in harm.rows_of(table)]
    return [{name: value for name, value in row.items() if name != "plan_id"} for row in rows if row["object_id"] not in ids]
