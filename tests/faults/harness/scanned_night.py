"""A night of small shards, scanned by `scan_driver` in a process of its own or here, and the undisturbed run."""

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
from scanner.sources.shards import encode_shard, shard_table
from scanner.vocabulary.geometry import CHALLENGE
from scanner.workers import actors
from scanner.workers.run import scan_night
from tests.faults.harness import harm, patience
from tests.faults.harness.worker_faults import MARK, FaultyScanner
from tests.scanner.ensembles import SPECS, write_test_package

NIGHT = date(2026, 1, 1)
N_UNITS, N_ROWS = 10, 24
BAD = {3: (5,), 6: (0, 23)}
"""Unit to the rows in it that have a fault."""
THRESHOLD = 0.6
"""A sixth of the rows are candidates, and the sweep leaves half of the others."""


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
    """Begin to scan in a process of its own, the night's shards or those elsewhere; `faults` go into its environment."""
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
    """Wait for it; its summary, or what it says went wrong."""
    try:
        out, err = process.communicate(timeout=patience.scaled(seconds))
    finally:
        kill_group(process)
    if patience.has_ray_timed_out(err):
        raise patience.TimedOut(err)
    (answer,) = [line for line in out.splitlines() if line.startswith("{")] or [None]
    return json.loads(answer) if process.returncode == 0 and answer else err


def done(process):
    """The summary of a run that must have come to its end."""
    summary = end(process)
    assert isinstance(summary, dict), summary
    return summary


def scan_here(night, root, *, source=None, workers=2, **faults):
    """The same in this process and its Ray, whose workers get `faults` into their environment; the summary."""
    settings = actors.thread_settings
    # Ray may have been started before the store.
    store = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(actors, "UnitScanner", FaultyScanner)
        patch.setattr(actors, "thread_settings", lambda threads: {**settings(threads), **store, **faults})
        source = str(source or night.source)
        done = scan_night(source, str(root), NIGHT, night.package, candidate_threshold=THRESHOLD, workers=workers)
    return done.model_dump()


def kill_group(process):
    """Driver and Ray with all that they started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    if not process.stdout.closed:
        process.communicate()


def unit_files(root):
    return sorted((Path(root) / "units").rglob("*.parquet"))


def rows(root, *, without=frozenset()):
    """The rows of the catalogue, row by row in the order of the units, and how many unit files there are."""
    paths = unit_files(root)
    table = pa.concat_tables([pq.read_table(path) for path in paths]).sort_by("object_id")
    return [row for row in table.to_pylist() if row["object_id"] not in without], len(paths)


def fetch(root_uri, folder):
    """A copy on disk of what a catalogue in a store holds."""
    for file in list_files(root_uri, ".parquet"):
        place = folder / file.uri.removeprefix(f"{root_uri}/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(read_bytes(file.uri))
    return folder


def n_committed(root):
    return len(unit_files(root))


class Night:
    """Shards, a package, and the catalogue of an undisturbed run: by a driver, or by `scan`."""

    def __init__(self, folder, n_units=N_UNITS, n_rows=N_ROWS, bad=BAD, scan=None):
        self.folder, self.n_units, self.n_rows, self.bad = folder, n_units, n_rows, bad
        self.source = write_shards(folder / "shards", n_units, n_rows, bad)
        self.package = folder / "package"
        write_test_package(self.package, SPECS[:1])
        self.golden = folder / "golden"
        self.undisturbed = scan(self, self.golden) if scan else done(start(self, self.golden))
        assert self.undisturbed["rows_by_status"] == {"scored": n_units * n_rows}, self.undisturbed
        assert self.precisions == {"float32", "bfloat16"}, "some rows are swept, some are scored again"
        assert 0 < self.undisturbed["n_candidates"] < n_units * n_rows

    @property
    def precisions(self):
        return {row["precision"] for row in rows(self.golden)[0]}

    @property
    def poison(self):
        """Ids of the rows that have a fault."""
        return {unit * self.n_rows + row for unit, places in self.bad.items() for row in places}

    def check(self, root, without=frozenset()):
        """Every row once, in whole files, with the numbers and maps of the undisturbed run, to the last bit."""
        harm.assert_none(self.harm(root, without))

    def check_rejected(self, root, status):
        """The rows with a fault, and no other."""
        found = [row for row in rows(root)[0] if row["object_id"] in self.poison]
        expected = [{"object_id": object_id, "status": status, "p_lens": None} for object_id in sorted(self.poison)]
        harm.assert_none(harm.compare([{name: row[name] for name in expected[0]} for row in found], expected))

    def harm(self, root, without=frozenset()):
        """Harm to all but some rows, in the unit files and in the candidates."""
        n_rows = {path.name: self.n_rows for path in unit_files(self.golden)}
        units = self._compared(*(unit_files(place) for place in (root, self.golden)), without, n_rows)
        candidates = (sorted((Path(place) / "candidates").rglob("*.parquet")) for place in (root, self.golden))
        return units + self._compared(*candidates, without)

    def _compared(self, found, expected, without, n_rows=None):
        found, torn = harm.read_files(found, n_rows)
        expected, _ = harm.read_files(expected)
        return torn + harm.compare(*(_without(tables, without) for tables in (found, expected)))


def _without(tables, ids):
    """Rows of tables; the plan's id changes with the place of the input."""
    rows = [row for table in tables for row in harm.rows_of(table)]
    return [{name: value for name, value in row.items() if name != "plan_id"} for row in rows if row["object_id"] not in ids]
