"""Start the workers of a scan without Ray as forks of a process that has done their imports, which take two core seconds."""

import os
import subprocess
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from infra import local_pool
from tests.fork_server import forks
from tests.worker_forks import WorkerFork, become_worker, check_worker, in_place_of_subprocess


@pytest.fixture(scope="module")
def forked_workers():
    """Fork the workers that this process starts in the tests of a file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local_pool, "subprocess", in_place_of_subprocess(_fork))
        yield


def _fork(command, *, env, stdin, stdout, stderr, process_group):
    check_worker(command, stdout, process_group)
    assert stderr == subprocess.DEVNULL
    with Connection(os.dup(stdin)) as pipe:
        process = forks().Process(target=_become, args=(pipe, dict(env), Path.cwd()), daemon=True)
        process.start()
    return WorkerFork(process, command)


def _become(pipe, env, folder):
    descriptor = os.dup(pipe.fileno())
    pipe.close()
    become_worker(descriptor, env, folder)
