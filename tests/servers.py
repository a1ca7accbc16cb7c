"""Starting, waiting for and stopping the real servers that tests talk to, on loopback."""

import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest


def free_port(above=1024):
    """A port that nobody listens on now."""
    while True:
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
            if port > above:
                return port


def http_status(url):
    """The status code, or None when nothing answers."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return None


def wait_for(what, ready, seconds=90):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if ready():
            return
        time.sleep(0.3)
    pytest.fail(f"{what} was not ready within {seconds} s")


def stop(process, seconds=40):
    """Ask, then kill."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
