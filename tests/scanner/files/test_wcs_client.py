"""wcslib runs in a separate process: if that crashes, hangs or is killed, the reader goes on."""

import contextlib
import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from scanner.files import wcs_client as module
from scanner.files.wcs_client import WcsProcessError, sky_positions, start_wcs_worker
from scanner.files.wcs_messages import read_message
from tests.scanner.files.wcs_headers import DEC, DISTORTED, RA, head, in_this_process, rejection

pytestmark = pytest.mark.fault(27)


@pytest.fixture
def helper():
    """Return the running process that reads headers."""
    sky_positions(head(), RA, DEC, "x")
    return module._PROCESS._process


@pytest.mark.parametrize("cards", [{}, DISTORTED, {"RADESYS": "FK5", "EQUINOX": 2000.0}, {"CRVAL1": 0.001}, {"LONPOLE": 150.0}])
def test_positions_are_astropys_to_the_last_bit(cards):
    assert sky_positions(head(**cards), RA, DEC, "x").tobytes() == in_this_process(head(**cards)).tobytes()


def test_a_process_that_was_started_early_answers():
    module._PROCESS.close()
    start_wcs_worker()
    early = module._PROCESS._process
    assert sky_positions(head(), RA, DEC, "x").tobytes() == in_this_process(head()).tobytes()
    start_wcs_worker()
    assert module._PROCESS._process is early


def test_a_process_that_dies_early_is_replaced():
    module._PROCESS.close()
    start_wcs_worker()
    module._PROCESS._process.kill()
    module._PROCESS._process.wait()
    assert sky_positions(head(), RA, DEC, "x").tobytes() == in_this_process(head()).tobytes()


def test_a_process_that_cannot_start_is_named(monkeypatch):
    module._PROCESS.close()
    monkeypatch.setattr(module.sys, "executable", "/no/python")
    with pytest.raises(WcsProcessError, match=r"does not start: python -m scanner\.files\.wcs_worker"):
        start_wcs_worker()


@contextlib.contextmanager
def dying(helper, number):
    """Send a signal while the process works on a request."""
    os.kill(helper.pid, signal.SIGSTOP)

    def crash():
        time.sleep(0.3)
        os.kill(helper.pid, number)
        os.kill(helper.pid, signal.SIGCONT)

    killer = threading.Thread(target=crash)
    killer.start()
    yield
    killer.join()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_wcs_process_does_not_reject_the_header(helper, number):
    with dying(helper, number), pytest.raises(module.WcsProcessError, match=f"was killed .{signal.strsignal(number)}"):
        sky_positions(head(), RA, DEC, "x")
    assert sky_positions(head(), RA, DEC, "x").tobytes() == in_this_process(head()).tobytes()


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT])
def test_a_crash_of_wcslib_rejects_only_that_header(helper, number, measured):
    with dying(helper, number):
        assert f"crashed ({signal.strsignal(number)})" in rejection(head())
    assert helper.returncode == -number
    begun = time.monotonic()
    assert sky_positions(head(), RA, DEC, "x").tobytes() == in_this_process(head()).tobytes()
    measured(recovery_s=time.monotonic() - begun)


def test_a_header_that_exceeds_the_deadline_is_rejected(helper, monkeypatch):
    monkeypatch.setattr(module, "DEADLINE_S", 0.4)
    os.kill(helper.pid, signal.SIGSTOP)
    assert "took longer than 0.4 s" in rejection(head())
    monkeypatch.undo()
    assert len(sky_positions(head(), RA, DEC, "x")) == len(RA)


def test_a_process_killed_between_two_headers_is_replaced(helper):
    helper.kill()
    helper.wait()
    assert sky_positions(head(), RA, DEC, "x").tobytes() == in_this_process(head()).tobytes()


@pytest.mark.parametrize("program", ["/bin/false", "/bin/echo", "/no/such/program"])
def test_a_process_that_cannot_start_rejects_no_header(helper, monkeypatch, program):
    """If not, a broken installation would reject every source of the night."""
    helper.kill()
    helper.wait()
    monkeypatch.setattr(module.sys, "executable", program)
    with pytest.raises(module.WcsProcessError, match="does not start"):
        sky_positions(head(), RA, DEC, "x")
    monkeypatch.undo()
    assert len(sky_positions(head(), RA, DEC, "x")) == len(RA)


def test_wrong_answers_of_the_wcs_process_are_rejected(helper, monkeypatch):
    """A header may have corrupted the process without ending it."""
    monkeypatch.setattr(module, "read_message", lambda *_: [b"", bytes(8)])
    assert "returned 8 bytes for 500 sources" in rejection(head())
    monkeypatch.undo()
    assert helper.poll() is not None
    with pytest.raises(EOFError, match="at most 5 bytes"):
        read_message(io.BytesIO((2**63).to_bytes(8, "little")), 1, 5)
    assert len(sky_positions(head(), RA, DEC, "x")) == len(RA)


def test_concurrent_readers_get_their_own_answers():
    heads = [head(CRPIX1=float(i)) for i in range(8)]
    expected = [in_this_process(h).tobytes() for h in heads]
    found = [[] for _ in heads]

    def ask(i):
        found[i] += [sky_positions(heads[i], RA, DEC, "x").tobytes() for _ in range(10)]

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(len(heads))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[answer] * 10 for answer in expected]


PARENT = """
import os, signal, sys
import numpy as np
from astropy.io import fits
from scanner.files import wcs_client as positions
header = fits.Header.fromstring(sys.stdin.read(), sep="\\n")
positions.sky_positions(header, np.array([150.0]), np.array([2.0]), "x")
print(positions._PROCESS._process.pid, flush=True)
if sys.argv[1] == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[1] == "fork" and os.fork() == 0:
    found = positions.sky_positions(header, np.array([150.0]), np.array([2.0]), "x")
    print(positions._PROCESS._process.pid, flush=True)
    positions._PROCESS.close()
    os._exit(0)
"""


def is_running(pid):
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


def run_parent(end, **variables):
    """Return the ids of the processes that a parent started before it ended in the given way."""
    command = [sys.executable, "-W", "ignore", "-c", PARENT, end]
    cards = head().tostring(sep="\n", endcard=False, padding=False)
    done = subprocess.run(command, input=cards, capture_output=True, text=True, check=False, env=os.environ | variables)
    assert done.returncode == (-signal.SIGKILL if end == "kill" else 0), done.stderr
    return [int(line) for line in done.stdout.split()]


@pytest.mark.parametrize("end", ["exit", "kill", "fork"])
def test_no_process_outlives_its_parent(end):
    pids = run_parent(end)
    assert len(set(pids)) == (2 if end == "fork" else 1)
    deadline = time.monotonic() + 20
    while any(map(is_running, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_wcs_process_gets_no_credentials(helper, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-secret")
    helper.kill()
    helper.wait()
    sky_positions(head(), RA, DEC, "x")
    environment = Path(f"/proc/{module._PROCESS._process.pid}/environ").read_bytes()
    assert b"PYTHONPATH" in environment
    assert b"canary" not in environment
