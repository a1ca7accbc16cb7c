"""Where sources lie in an image. wcslib is asked in a process of its own: when a header crashes it, only that one dies.

A request is the header's cards and the right ascensions and declinations as float64; the answer is what is wrong, or nothing
and x and y of each source.
"""

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Lock, Timer

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from infra.errors import LensscanError
from infra.quiet import without_warnings
from scanner.files.wcs_messages import READY, read_message, write_message
from scanner.vocabulary.rejections import RejectCode, Rejection

DEADLINE_S = 300.0
"""For one header: a million sources take seconds, also where a distortion is undone step by step."""

START_S = 120.0
"""For astropy to be imported on a busy machine."""

_SETTLE_S = 5.0
"""Between the end of a process's pipes and its own."""
_FROM_OUTSIDE = {-signal.SIGKILL, -signal.SIGTERM, -signal.SIGHUP}
"""Signals of the kernel and of people; a header that takes memory meets the limit of the process before."""
_MAX_PROBLEM_BYTES = 2**20
_ROOT = Path(__file__).parents[2]
_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH")
"""Of the environment: a process that reads what strangers wrote gets no credentials."""


def sky_positions(header: fits.Header, ra: NDArray[np.float64], dec: NDArray[np.float64], label: str) -> NDArray[np.float64]:
    """`[n, 2]`: x and y of positions in deg, ICRS; 0 at the middle of the first pixel, NaN where not in front of the camera.

    Raises:
        Rejection: BAD_WCS, the message beginning with `label`.
        WcsProcessError: the process cannot be started or was killed, which is no fault of the header's.
    """
    try:
        with without_warnings():
            cards = header.tostring().encode("ascii", "replace")
    except Exception as error:  # astropy raises many types for cards that are not FITS
        raise _bad_wcs(label, str(error)) from error
    places = np.ascontiguousarray(ra).tobytes(), np.ascontiguousarray(dec).tobytes()
    try:
        problem, found = _PROCESS.ask(cards, *places, max_bytes=max(_MAX_PROBLEM_BYTES, 16 * len(ra)))
    except _ProcessDiedError as error:
        raise _bad_wcs(label, str(error)) from error
    if problem:
        raise _bad_wcs(label, problem.decode("utf-8", "replace"))
    if len(found) != 16 * len(ra):
        _PROCESS.close()
        raise _bad_wcs(label, f"{len(found)} bytes came for {len(ra)} sources")
    return np.frombuffer(found).reshape(len(ra), 2)


def _bad_wcs(label: str, problem: str) -> Rejection:
    return Rejection(RejectCode.BAD_WCS, f"{label}: its WCS cannot be used: {problem}")


class WcsProcessError(LensscanError):
    """The process that reads coordinates does not start, or somebody ended it: another try may find it well."""


class _ProcessDiedError(Exception):
    """It crashed, or took too long."""


class _WcsProcess:
    """`wcs_process`, started when it is first needed and again when it has died; one question at a time."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew, as a fork must: two processes would read each other's answers."""
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, *request: bytes, max_bytes: int) -> list[bytes]:
        """The two parts of the answer, of at most `max_bytes` each.

        Raises:
            _ProcessDiedError: it died of the request, or had no answer in time.
            WcsProcessError: it cannot be started, or was killed from outside, as when memory runs out.
        """
        with self._lock:
            process = self._ready()
            begun = time.monotonic()
            try:
                with _killed_after(process, DEADLINE_S):
                    return _talk(process, request, max_bytes)
            except (OSError, EOFError) as error:
                took_too_long = time.monotonic() - begun >= DEADLINE_S
                was_killed = _was_killed(process)
                self._end()
                if was_killed and not took_too_long:
                    raise WcsProcessError(f"the process that reads coordinates died ({_manner(process.returncode)})") from error
                how = f"took longer than {DEADLINE_S:g} s" if took_too_long else f"died ({_manner(process.returncode)})"
                raise _ProcessDiedError(f"the process that reads it {how}") from error
            except BaseException:
                # An answer that nobody waits for must not become that to the next question.
                self._end()
                raise

    def close(self) -> None:
        with self._lock:
            self._end()

    def _ready(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._end()
        try:
            process = self._process = _started()
            with _killed_after(process, START_S):
                is_ready = process.stdout is not None and read_message(process.stdout, 1, len(READY)) == [READY]
        except (OSError, EOFError):
            is_ready = False
        if not is_ready:
            self._end()
            raise WcsProcessError(
                "the process that reads coordinates does not start: python -m scanner.files.wcs_worker must wait for input"
            )
        return process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


@contextlib.contextmanager
def _killed_after(process: subprocess.Popen[bytes], seconds: float) -> Iterator[None]:
    """Whoever waits for the process goes on then: its pipes end."""
    overdue = Timer(seconds, process.kill)
    overdue.start()
    try:
        yield
    finally:
        overdue.cancel()


def _was_killed(process: subprocess.Popen[bytes]) -> bool:
    """Did somebody else end a process whose pipes have ended?"""
    with contextlib.suppress(subprocess.TimeoutExpired):
        return process.wait(_SETTLE_S) in _FROM_OUTSIDE
    return False


def _manner(returncode: int) -> str:
    return (signal.strsignal(-returncode) if returncode < 0 else None) or f"status {returncode}"


def _started() -> subprocess.Popen[bytes]:
    environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    # As this process found its modules, wherever it was started.
    environment["PYTHONPATH"] = os.pathsep.join([str(_ROOT), *filter(None, sys.path)])
    environment["OPENBLAS_NUM_THREADS"] = "1"
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "scanner.files.wcs_worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    )


def _talk(process: subprocess.Popen[bytes], request: tuple[bytes, ...], max_bytes: int) -> list[bytes]:
    if process.stdin is None or process.stdout is None:
        raise EOFError
    write_message(process.stdin, *request)
    return read_message(process.stdout, 2, max_bytes)


_PROCESS = _WcsProcess()
atexit.register(_PROCESS.close)
os.register_at_fork(after_in_child=_PROCESS.forget)
