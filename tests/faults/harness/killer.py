"""Kill workers of a scan with SIGKILL, from outside and at random times, but only while they are inside a unit."""

import contextlib
import os
import random
import signal
import tempfile
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path

from tests.faults.harness.patience import wait_for
from tests.faults.harness.scanned_night import n_committed, scan_here

PAUSE_S = 0.3
"""Longest pause between two attempts, in seconds: as long as a worker takes for a few units."""
MOST_IN_A_ROW = 20
"""Largest number of kills without a commit between them: on a busy machine a unit may take longer than the pause."""


class WorkerKiller(threading.Thread):
    """Kill workers that record in `folder` the units they are inside of (`worker_faults`), during a scan into `root`.

    Use it as a context manager. A unit that is alone on its worker is killed at most once: after two such deaths, the scan
    searches its rows for a bad one.
    """

    def __init__(self, folder, root, n_kills, seed=0):
        super().__init__(daemon=True)
        self._folder, self._root, self._n_kills, self._random = folder, root, n_kills, random.Random(seed)
        self._is_over = threading.Event()
        self._alone = Counter()
        self._n_committed = self._n_in_a_row = 0
        self.kills = []
        """Times of the kills, by the clock of the file system."""
        self.units = set()
        """Units that a kill interrupted."""

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._is_over.set()
        self.join()

    def run(self):
        while len(self.kills) < self._n_kills and not self._is_over.wait(self._random.uniform(0, PAUSE_S)):
            if (held := self._held()) and not self._spares():
                self._try(self._random.choice(sorted(held)))

    def _spares(self):
        """Return whether a unit must be committed first: a scan gives up after sixty worker deaths without an answer."""
        if (n := n_committed(self._root)) > self._n_committed:
            self._n_committed, self._n_in_a_row = n, 0
        return self._n_in_a_row >= MOST_IN_A_ROW

    def _held(self):
        """Return the units that each process is inside of."""
        held = defaultdict(set)
        for path in self._folder.iterdir():
            pid, _, unit = path.name.partition(" ")
            held[int(pid)].add(unit)
        return held

    def _try(self, pid):
        with contextlib.suppress(ProcessLookupError):
            # The worker must not publish between the check and the kill.
            os.kill(pid, signal.SIGSTOP)
            wait_for(f"the stop of {pid}", lambda: _is_stopped(pid))
            units = self._held().get(pid, set())
            is_alone = len(units) == 1
            if not units or (is_alone and self._alone[min(units)]):
                os.kill(pid, signal.SIGCONT)
                return
            os.kill(pid, signal.SIGKILL)
            self.kills.append(time.time())
            self._n_in_a_row += 1
            self._alone.update(units if is_alone else ())
            for unit in units:
                path = self._folder / f"{pid} {unit}"
                self.units |= {unit} if path.exists() else set()
                path.unlink(missing_ok=True)


def _is_stopped(pid):
    """Return whether all threads of the process are stopped: a signal reaches them one after the other.

    Raises:
        ProcessLookupError: the process is dead.
    """
    files = list(Path(f"/proc/{pid}/task").glob("*/stat"))
    try:
        states = {path.read_text(encoding="utf-8").rpartition(")")[2].split()[0] for path in files}
    except (FileNotFoundError, ProcessLookupError):
        # A thread ended just now.
        return False
    if states <= {"Z", "X"}:
        raise ProcessLookupError(pid)
    return states == {"T"}


def scan_with_kills(night, root, n_kills, seed=0, **faults):
    """Scan a night while at most `n_kills` workers are killed inside units; return the summary and the killer."""
    inside = Path(tempfile.mkdtemp(dir=night.folder))
    with WorkerKiller(inside, root, n_kills, seed) as killer:
        summary = scan_here(night, root, FAULT_TELL_INSIDE=str(inside), **faults)
    return summary, killer
