"""A scan worker with faults that environment variables choose; each fault happens at a given step or row.

On a CPU without bfloat16, the worker sweeps nevertheless: in float32, over pixels rounded to bfloat16.
"""

import ctypes
import os
import signal
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np

from infra import steps
from infra.steps import Step
from infra.store import s3_client
from scanner.networks.engines import fast_precision
from scanner.networks.ensemble import Ensemble
from scanner.scan import scoring
from scanner.sources.shards import ShardRows
from scanner.workers.unit_scanner import UnitScanner

MARK = np.float32(54272.0)
"""Value of the first VIS pixel of a row with a fault; bfloat16 holds it exactly."""
CRASH_STEPS = (Step.LOOK, Step.OPENED, Step.SCORED, Step.CREATED)
"""Steps of a unit, in this order, at which a worker crashes; the last comes after its commit."""


class FaultyScanner(UnitScanner):
    """A replacement of `UnitScanner` that sets up the faults."""

    def __init__(self, *args, **kwargs):
        for step in filter(None, os.environ.get("FAULT_CRASH_AT", "").split(",")):
            steps.listen(partial(_crash_at, step))
        if os.environ.get("FAULT_ROW"):
            _spoil_rows(os.environ["FAULT_ROW"])
        if os.environ.get("FAULT_READER"):
            _spoil_reader()
        if os.environ.get("FAULT_STORE_TRIES"):
            s3_client.REQUEST_TRIES = int(os.environ["FAULT_STORE_TRIES"])
        if fast_precision("auto") is None:
            _sweep_nevertheless()
        super().__init__(*args, **kwargs)
        if os.environ.get("FAULT_TELL_INSIDE"):
            steps.listen(partial(_tell_inside, Path(os.environ["FAULT_TELL_INSIDE"])))
        if os.environ.get("FAULT_SLOW_S"):
            self._computing = _SlowLock(float(os.environ["FAULT_SLOW_S"]))

    def try_rows(self, task):
        """Do the trial without a file that says that the unit is open: a trial publishes nothing."""
        _TRIAL.is_running = True
        try:
            super().try_rows(task)
        finally:
            _TRIAL.is_running = False


def happens_once(name):
    """Return True in the first call of all workers, and False afterwards."""
    try:
        (Path(os.environ["FAULT_FLAGS"]) / name).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _crash_at(fatal, step, _subject):
    if step == fatal and happens_once(f"crashed-{step}"):
        os.kill(os.getpid(), signal.SIGKILL)
        # The signal may reach another thread first.
        time.sleep(60)


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


class _SlowLock:
    """The lock of a worker that scores one unit at a time; it delays every unit between opening and scoring it."""

    def __init__(self, seconds):
        self._lock, self._seconds = threading.Lock(), seconds

    def __enter__(self):
        self._lock.acquire()
        time.sleep(self._seconds)

    def __exit__(self, *_):
        self._lock.release()


_TRIAL = threading.local()


def _tell_inside(folder, step, unit_id):
    """Keep a file `PID UNIT` while a unit is open and not published: the oldest unit, or one that is read ahead."""
    path = folder / f"{os.getpid()} {unit_id}"
    if step is Step.OPENED and not getattr(_TRIAL, "is_running", False):
        path.touch()
    elif step is Step.ENCODED:
        path.unlink()


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
    scoring.load_package = lambda package, engine, _, threads, **more: _Rounded(
        load(package, engine, "float32", threads, **more)
    )
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
