"""Start the first worker of a forked `lensscan scan` as a fork too: its imports take longer than to scan a small tile.

The command forks the spare worker before it has threads. Further workers, if it starts any, are started as usual.
"""

import json
import os
import socket
import subprocess
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace

from infra import local_pool, local_worker


def fork_spare_worker():
    """Fork a process that becomes the first worker which this process starts; it ends with this process if there is none."""
    ours, theirs = socket.socketpair()
    spare = get_context("fork").Process(target=_wait, args=(ours, theirs), daemon=True)
    spare.start()
    theirs.close()
    spares = [(spare, ours)]

    def popen(command, **options):
        return SpareWorker(*spares.pop(), command, **options) if spares else subprocess.Popen(command, **options)

    names = {name: getattr(subprocess, name) for name in ("DEVNULL", "TimeoutExpired")}
    local_pool.subprocess = SimpleNamespace(Popen=popen, **names)


class SpareWorker:
    """The process of a worker, as far as `WorkerProcess` uses a `subprocess.Popen`."""

    def __init__(self, process, orders, command, *, env, stdin, stdout, stderr, process_group):
        assert command[-2:] == ["-m", "infra.local_worker"]
        assert (stdout, process_group) == (subprocess.DEVNULL, 0)
        self._process, self._command = process, command
        self.pid = process.pid
        with orders:
            text = json.dumps([dict(env), str(Path.cwd()), stderr is None])
            socket.send_fds(orders, [len(text).to_bytes(8)], [stdin])
            orders.sendall(text.encode())

    @property
    def returncode(self):
        return self._process.exitcode

    def kill(self):
        self._process.kill()

    def wait(self, timeout):
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self._command, timeout)


def _wait(ours, theirs):
    """Wait for orders, then turn this process into the worker that talks to the pipe."""
    ours.close()
    size, descriptors, *_ = socket.recv_fds(theirs, 8, 1)
    if not size:
        return
    with theirs.makefile("rb") as orders:
        env, folder, has_logs = json.loads(orders.read(int.from_bytes(size)))
    theirs.close()
    os.setpgid(0, 0)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor, place in ((descriptors[0], 0), (nothing, 1), *([] if has_logs else [(nothing, 2)])):
        os.dup2(descriptor, place)
    os.close(descriptors[0])
    local_worker.main()
