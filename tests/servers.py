"""Helpers that start, await and stop the real servers that tests use, on loopback."""

import contextlib
import fcntl
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest
from botocore.session import get_session


@contextlib.contextmanager
def by_one_process(path):
    """Let one test process at a time make what lies at a path."""
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def free_port(above=1024):
    """Return a port above `above` on which no process listens now."""
    while True:
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
            if port > above:
                return port


def http_status(url):
    """Return the status code of a GET request, or None when no server answers."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return None


def plain_s3():
    """Return a plain client of the S3 server in the environment, to prepare and to look at buckets without the product."""
    return get_session().create_client("s3")


def wait_for(what, ready, seconds=90):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if ready():
            return
        time.sleep(0.3)
    pytest.fail(f"{what} was not ready within {seconds} s")


def stop(process, seconds=40):
    """Terminate a process, and kill it if it still runs after `seconds`."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def end_group(process, how):
    """End a process that leads its group, with the whole group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, how)
    process.wait(40)
