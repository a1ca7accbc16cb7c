"""A night of small shards, scanned by `scan_driver` in a process of its own, and the run that nobody disturbed."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scanner.pixels.geometry import CHALLENGE
from scanner.pixels.shards import encode_shard, shard_table
from tests.faults.worker_faults import MARK
from tests.scanner.ensembles import SPECS, write_test_package

N_UNITS, N_ROWS = 10, 24
BAD = {3: (5,), 6: (0, 23)}
"""Unit to the rows in it that have a fault."""


def write_shards(folder, n_units=N_UNITS, bad=BAD):
    folder.mkdir()
    for unit in range(n_units):
        rng = np.random.default_rng(unit)
        stamps = {
            band: rng.exponential(size=(N_ROWS, grid.n_pixels, grid.n_pixels)).astype(np.float32)
            for band, grid in CHALLENGE.grids.items()
        }
        for row in bad.get(unit, ()):
            stamps["VIS"][row, 0, 0] = MARK
        table = shard_table(np.arange(N_ROWS) + unit * N_ROWS, stamps, {}, CHALLENGE)
        (folder / f"shard-{unit:05d}.parquet").write_bytes(encode_shard(table))
    return folder


def start(night, root, *options, source=None, **faults):
    """Begin to scan in a process of its own, the night's shards or those elsewhere; `faults` go into its environment."""
    command = [sys.executable, "-m", "tests.faults.scan_driver", source or night.source, root, night.package, *options]
    environment = {**os.environ, "FAULT_FLAGS": tempfile.mkdtemp(dir=night.folder), **faults}
    return subprocess.Popen(
        [str(part) for part in command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def end(process, timeout=200):
    """Wait for it; its summary, or what it says went wrong."""
    try:
        out, err = process.communicate(timeout=timeout)
    finally:
        kill_group(process)
    (answer,) = [line for line in out.splitlines() if line.startswith("{")] or [None]
    return json.loads(answer) if process.returncode == 0 and answer else err


def done(process):
    """The summary of a run that must have come to its end."""
    summary = end(process)
    assert isinstance(summary, dict), summary
    return summary


def kill_group(process):
    """Driver and Ray with all that they started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    if not process.stdout.closed:
        process.communicate()


def rows(root, *, without=frozenset()):
    """What the catalogue holds, row by row in the order of the units, and how many unit files there are."""
    paths = sorted((Path(root) / "units").rglob("*.parquet"))
    table = pa.concat_tables([pq.read_table(path) for path in paths]).sort_by("object_id")
    return [row for row in table.to_pylist() if row["object_id"] not in without], len(paths)


def n_committed(root):
    return len(list((Path(root) / "units").rglob("*.parquet")))


def candidates(root):
    (path,) = (Path(root) / "candidates").rglob("*.parquet")
    return pq.read_table(path)


class Night:
    def __init__(self, folder):
        self.folder = folder
        self.source = write_shards(folder / "shards")
        self.package = folder / "package"
        write_test_package(self.package, SPECS[:1])
        self.golden = folder / "golden"
        self.undisturbed = done(start(self, self.golden))

    def check(self, root):
        """C1 to C3: every row once, with the numbers of the run that nobody disturbed."""
        assert rows(root) == rows(self.golden)
        assert candidates(root).drop_columns("plan_id").equals(candidates(self.golden).drop_columns("plan_id"))
