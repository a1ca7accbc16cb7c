"""Let a forked process stand for a worker that `infra.local_pool` starts."""

import os
import signal
import subprocess
from types import SimpleNamespace

from infra import local_worker


class WorkerFork:
    """The process of a worker, with the methods and fields of `subprocess.Popen` that `WorkerProcess` uses."""

    def __init__(self, process, command):
        self._process, self._command = process, command
        self.pid = process.pid

    @property
    def returncode(self):
        return self._process.exitcode

    def kill(self):
        self._process.kill()

    def wait(self, timeout):
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self._command, timeout)


def check_worker(command, stdout, process_group):
    """Check that a command starts a worker as the forks do."""
    assert command[-2:] == ["-m", "infra.local_worker"]
    assert (stdout, process_group) == (subprocess.DEVNULL, 0)


def in_place_of_subprocess(popen):
    """Return the names that `infra.local_pool` uses of the module `subprocess`, with another `Popen`."""
    return SimpleNamespace(Popen=popen, DEVNULL=subprocess.DEVNULL, TimeoutExpired=subprocess.TimeoutExpired)


def become_worker(pipe, env, folder, *, has_logs=False):
    """Turn this process into the worker that talks to a pipe, a file descriptor, in a folder with these variables."""
    os.setpgid(0, 0)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    # A server of forks ignores this signal.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor, place in ((pipe, 0), (nothing, 1), *([] if has_logs else [(nothing, 2)])):
        os.dup2(descriptor, place)
    os.close(pipe)
    local_worker.main()
