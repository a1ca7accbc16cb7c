"""A scan worker with faults that environment variables choose; each fault happens at a given step or row.

On a CPU without bfloat16, the worker sweeps nevertheless: in float32, over pixels rounded to bfloat16.
"""

import ctypes
import os
import signal
import time
from pathlib import Path

import numpy as np

from infra.store import s3_client
from scanner.networks.engines import fast_precision
from scanner.networks.ensemble import Ensemble
from scanner.scan import scoring
from scanner.sources.shards import ShardRows
from scanner.workers import actors

MARK = np.float32(54272.0)
"""Value of the first VIS pixel of a row with a fault; bfloat16 holds it exactly."""
CRASH_STEPS = ("committed", "open_unit_without", "scan_open_unit", "publish")
"""Functions that a worker calls for a unit, in this order; the worker crashes just after one of them."""


class FaultyScanner(actors.UnitScanner):
    """A replacement of `UnitScanner` that sets up the faults."""

    def __init__(self, *args, **kwargs):
        for step in filter(None, os.environ.get("FAULT_CRASH_AFTER", "").split(",")):
            _crash_after(step)
        if os.environ.get("FAULT_ROW"):
            _spoil_rows(os.environ["FAULT_ROW"])
        if os.environ.get("FAULT_READER"):
            _spoil_reader()
        if os.environ.get("FAULT_SLOW_S"):
            _slow_down(float(os.environ["FAULT_SLOW_S"]))
        if os.environ.get("FAULT_STORE_TRIES"):
            s3_client.REQUEST_TRIES = int(os.environ["FAULT_STORE_TRIES"])
        if os.environ.get("FAULT_TELL_INSIDE"):
            _tell_inside(Path(os.environ["FAULT_TELL_INSIDE"]))
        if fast_precision("auto") is None:
            _sweep_nevertheless()
        super().__init__(*args, **kwargs)


def happens_once(name):
    """Return True in the first call of all workers, and False afterwards."""
    try:
        (Path(os.environ["FAULT_FLAGS"]) / name).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _crash_after(step):
    function = getattr(actors, step)

    def crashing(*args, **kwargs):
        result = function(*args, **kwargs)
        if happens_once(f"crashed-{step}"):
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(actors, step, crashing)


def _spoil_rows(fault):
    score = Ensemble.score

    def faulty(self, stamps):
        if (stamps["VIS"][:, 0, 0] == MARK).any():
            _FAULTS[fault](len(stamps["VIS"]))
        return score(self, stamps)

    Ensemble.score = faulty


def _spoil_reader():
    """Crash while reading some pages of a file, as a faulty decoder would, independently of the use of their rows."""
    read = ShardRows.pieces

    def faulty(self, n_rows):
        for piece in read(self, n_rows):
            if (piece.stamps["VIS"][:, 0, 0] == MARK).any():
                _segfault(0)
            yield piece

    ShardRows.pieces = faulty


def _slow_down(seconds):
    """Delay every unit between opening and scoring it."""
    scan = actors.scan_open_unit

    def slow(*args, **kwargs):
        time.sleep(seconds)
        return scan(*args, **kwargs)

    actors.scan_open_unit = slow


def _tell_inside(folder):
    """Keep a file `PID UNIT` while a unit is open and not published: the oldest unit, or one that is read ahead."""
    begin, finish = actors.open_unit_without, actors.publish

    def opening(unit, *args, **kwargs):
        (folder / f"{os.getpid()} {unit.unit_id}").touch()
        return begin(unit, *args, **kwargs)

    def publishing(table, unit, *args, **kwargs):
        (folder / f"{os.getpid()} {unit.unit_id}").unlink()
        return finish(table, unit, *args, **kwargs)

    actors.open_unit_without, actors.publish = opening, publishing


class _Rounded:
    """An ensemble that scores pixels rounded to the 8 significant bits of bfloat16."""

    def __init__(self, ensemble):
        self._ensemble = ensemble
        self.geometry, self.network_names = ensemble.geometry, ensemble.network_names

    def score(self, stamps):
        return self._ensemble.score({band: _rounded(images) for band, images in stamps.items()})


def _rounded(images):
    bits = np.ascontiguousarray(images, np.float32).view(np.uint32)
    return ((bits + np.uint32(0x8000)) & np.uint32(0xFFFF0000)).view(np.float32)


def _sweep_nevertheless():
    load = scoring.load_package

    def load_any(package, engine, precision, threads):
        if precision == "bfloat16":
            return _Rounded(load(package, engine, "float32", threads))
        return load(package, engine, precision, threads)

    scoring.load_package = load_any
    scoring.fast_precision = lambda _engine: "bfloat16"


def _segfault(_n_rows):
    """Cause a real segmentation fault: a signal that is sent may reach another thread, and this one would run on."""
    ctypes.string_at(0)


def _hang(_n_rows):
    time.sleep(3600)


def _hang_once(_n_rows):
    if happens_once("hung"):
        time.sleep(3600)


def _memory_error(n_rows):
    if n_rows > 4:
        raise MemoryError(f"{n_rows} rows are too many")


def _balloon(n_rows):
    """Allocate memory until the process is killed."""
    if n_rows > 4:
        taken = []
        while len(taken) < 200:
            taken.append(np.ones(2**25))
            time.sleep(0.05)
        time.sleep(3600)


_FAULTS = {
    "segfault": _segfault,
    "hang": _hang,
    "hang_once": _hang_once,
    "memory_error": _memory_error,
    "balloon": _balloon,
}
