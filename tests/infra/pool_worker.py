"""The worker of the tests of pools: its methods answer, raise, hang, or kill its process."""

import gc
import os
import signal
import threading
import time
from pathlib import Path

from infra.errors import LensscanError
from infra.store.files import StorageError


class Worker:
    def __init__(self, broken=False, but_once=None, killed_once=None, killed=False, error=None, in_turn=None):
        self.step = self.n_asked = 0
        self.collected_at_start = gc.isenabled()
        if error:
            raise error
        if killed:
            os.kill(os.getpid(), signal.SIGKILL)
        if killed_once:
            try:
                os.close(os.open(killed_once, os.O_CREAT | os.O_EXCL))
                os.kill(os.getpid(), signal.SIGKILL)
            except FileExistsError:
                pass
        if but_once:
            try:
                os.close(os.open(but_once, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                broken = True
        if in_turn:
            Path(in_turn, str(os.getpid())).touch()
            broken = len(list(Path(in_turn).iterdir())) % 2 == 0
        if broken:
            raise ValueError("no ensemble here")

    def double(self, x):
        return 2 * x

    def sleep(self, seconds):
        time.sleep(seconds)
        return seconds

    def note(self, seconds):
        """Sleep in five steps, and note each."""
        for step in range(5):
            self.step = step
            time.sleep(seconds / 5)

    def last_step(self):
        return os.getpid(), self.step

    def no_step(self):
        raise ValueError("no step yet")

    def die_when_asked(self):
        os.kill(os.getpid(), signal.SIGKILL)

    def hang(self):
        time.sleep(600)

    def hang_when_asked(self):
        self.n_asked += 1
        time.sleep(600)

    def times_asked(self):
        return self.n_asked

    def pid(self):
        return os.getpid()

    def garbage(self):
        return self.collected_at_start, gc.isenabled(), gc.get_freeze_count()

    def variable(self, name):
        return os.environ.get(name)

    def meet(self, folder, n):
        """Return the process id as soon as `n` calls of the test have come to the folder."""
        Path(folder, f"{os.getpid()}-{threading.get_ident()}").touch()
        while len(list(Path(folder).iterdir())) < n:
            time.sleep(0.01)
        return os.getpid()

    def fail(self, _):
        raise KeyError("tile-7")

    def fill(self, uri):
        raise LensscanError(f"{uri}: is full")

    def lose_the_store(self):
        raise StorageError("s3://night: is gone")

    def fail_with_a_lock(self):
        raise ValueError("locked", threading.Lock())

    def fail_beyond_pickle(self):
        raise TwoArgumentsError("left", "right")

    def lock(self):
        return threading.Lock()

    def die(self, folder, n):
        self.meet(folder, n)
        os.kill(os.getpid(), signal.SIGKILL)

    def end_by(self, number):
        os.kill(os.getpid(), number)
        time.sleep(600)

    def leave(self, _):
        os._exit(1)

    def balloon(self, _):
        raise MemoryError


class TwoArgumentsError(Exception):
    """An exception that cannot be made again from its text."""

    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")
