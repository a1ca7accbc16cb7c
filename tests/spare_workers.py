"""Start the first worker of a forked `lensscan scan` as a fork too: its imports take longer than to scan a small tile.

The command forks the spare worker before it has threads. Further workers, if it starts any, are started as usual.
"""

import json
import socket
import subprocess
from multiprocessing import get_context
from pathlib import Path

from infra import local_pool
from tests.worker_forks import WorkerFork, become_worker, check_worker, in_place_of_subprocess


def fork_spare_worker():
    """Fork a process that becomes the first worker which this process starts; it ends with this process if there is none."""
    ours, theirs = socket.socketpair()
    spare = get_context("fork").Process(target=_wait, args=(ours, theirs), daemon=True)
    spare.start()
    theirs.close()
    spares = [(spare, ours)]

    def popen(command, **options):
        return _order(*spares.pop(), command, **options) if spares else subprocess.Popen(command, **options)

    local_pool.subprocess = in_place_of_subprocess(popen)


def _order(process, orders, command, *, env, stdin, stdout, stderr, process_group):
    """Tell the spare process which worker it becomes."""
    check_worker(command, stdout, process_group)
    with orders:
        text = json.dumps([dict(env), str(Path.cwd()), stderr is None]).encode()
        socket.send_fds(orders, [len(text).to_bytes(8)], [stdin])
        orders.sendall(text)
    return WorkerFork(process, command)


def _wait(ours, theirs):
    """Wait for orders, then turn this process into the worker that talks to the pipe."""
    ours.close()
    size, descriptors, *_ = socket.recv_fds(theirs, 8, 1)
    if not size:
        return
    with theirs.makefile("rb") as orders:
        env, folder, has_logs = json.loads(orders.read(int.from_bytes(size)))
    theirs.close()
    become_worker(descriptors[0], env, folder, has_logs=has_logs)
