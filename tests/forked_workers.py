"""Start the workers of a scan without Ray as forks of a process that has done their imports, which take two core seconds."""

import os
import signal
import subprocess
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace

import pytest

from infra import local_pool, local_worker
from tests.fork_server import forks


@pytest.fixture(scope="module")
def forked_workers():
    """Fork the workers that this process starts in the tests of a file."""
    forked = SimpleNamespace(Popen=ForkedWorker, DEVNULL=subprocess.DEVNULL, TimeoutExpired=subprocess.TimeoutExpired)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local_pool, "subprocess", forked)
        yield


class ForkedWorker:
    """The process of a worker, with the arguments, methods and fields of `subprocess.Popen` that `WorkerProcess` uses."""

    def __init__(self, command, *, env, stdin, stdout, stderr, process_group):
        assert command[-2:] == ["-m", "infra.local_worker"]
        assert (stdout, stderr, process_group) == (subprocess.DEVNULL, subprocess.DEVNULL, 0)
        self._command = command
        with Connection(os.dup(stdin)) as pipe:
            self._process = forks().Process(target=_become, args=(pipe, dict(env), Path.cwd()), daemon=True)
            self._process.start()
        self.pid = self._process.pid

    @property
    def returncode(self):
        return self._process.exitcode

    def kill(self):
        self._process.kill()

    def wait(self, timeout):
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self._command, timeout)


def _become(pipe, env, folder):
    """Turn this process into the worker that talks to the pipe."""
    os.setpgid(0, 0)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    # The server of the forks ignores these signals.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor, place in ((pipe.fileno(), 0), (nothing, 1), (nothing, 2)):
        os.dup2(descriptor, place)
    pipe.close()
    local_worker.main()
