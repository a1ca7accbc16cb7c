"""Positions of sources in an image. wcslib runs in a worker process of its own, so that a header that crashes it costs no scan.

A request is the header's cards and the right ascensions and declinations as float64; the answer is an error message, empty if
there is no error, and x and y of each source.
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
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from infra.errors import LensscanError
from infra.quiet import without_warnings
from scanner.files.wcs_messages import READY, read_message, write_message
from scanner.vocabulary.rejections import RejectCode, Rejection

if TYPE_CHECKING:
    # Not imported: it takes long, and commands that need no FITS file import this file, too.
    from astropy.io.fits import Header

DEADLINE_S = 300.0
"""Deadline for one header: a million sources take seconds, even if a distortion is inverted iteratively."""

START_S = 120.0
"""Deadline for the start: on a busy machine the import of astropy is slow."""

_SETTLE_S = 5.0
"""Longest wait between the end of a process's pipes and its exit."""
_FROM_OUTSIDE = {-signal.SIGKILL, -signal.SIGTERM, -signal.SIGHUP}
"""Signals that the kernel and people send; a header that needs too much memory reaches the limit of the process first."""
_MAX_PROBLEM_BYTES = 2**20
_NO_START = "the WCS worker does not start: python -m scanner.files.wcs_worker must wait for input"
_ROOT = Path(__file__).parents[2]
_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH")
"""Environment variables that the worker gets: a process that reads untrusted headers gets no credentials."""


def sky_positions(header: "Header", ra: NDArray[np.float64], dec: NDArray[np.float64], label: str) -> NDArray[np.float64]:
    """Return `[n, 2]`: x and y of ICRS positions in deg; 0 at the centre of the first pixel, NaN if not in front of the camera.

    Raises:
        Rejection: BAD_WCS, the message beginning with `label`.
        WcsProcessError: the worker process cannot be started or was killed, which does not make the header invalid.
    """
    try:
        with without_warnings():
            cards = header.tostring().encode("ascii", "replace")
    except Exception as error:  # astropy raises many types for cards that are not FITS
        raise _bad_wcs(label, str(error)) from error
    coordinates = np.ascontiguousarray(ra).tobytes(), np.ascontiguousarray(dec).tobytes()
    try:
        problem, xy = _PROCESS.ask(cards, *coordinates, max_bytes=max(_MAX_PROBLEM_BYTES, 16 * len(ra)))
    except _ProcessDiedError as error:
        raise _bad_wcs(label, str(error)) from error
    if problem:
        raise _bad_wcs(label, problem.decode("utf-8", "replace"))
    if len(xy) != 16 * len(ra):
        _PROCESS.close()
        raise _bad_wcs(label, f"the WCS worker returned {len(xy)} bytes for {len(ra)} sources")
    return np.frombuffer(xy).reshape(len(ra), 2)


def start_wcs_worker() -> None:
    """Start the worker process if it does not run; it imports astropy while this process does other work.

    Raises:
        WcsProcessError: the process cannot be started.
    """
    _PROCESS.start()


def _bad_wcs(label: str, problem: str) -> Rejection:
    return Rejection(RejectCode.BAD_WCS, f"{label}: its WCS cannot be used: {problem}")


class WcsProcessError(LensscanError):
    """The WCS worker does not start, or was killed from outside: a retry may succeed."""


class _ProcessDiedError(Exception):
    """The WCS worker crashed, or took too long."""


class _WcsProcess:
    """The process of `wcs_worker`, started when first needed at the latest; serves one request at a time."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Drop the worker after a fork: parent and child would otherwise read each other's answers."""
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ready = False

    def start(self) -> None:
        """Start the process, without waiting until it is ready.

        Raises:
            WcsProcessError: the process cannot be started.
        """
        with self._lock:
            self._begin()

    def ask(self, *request: bytes, max_bytes: int) -> list[bytes]:
        """Return the two parts of the answer, of at most `max_bytes` each.

        Raises:
            _ProcessDiedError: the request crashed the worker, or there was no answer before the deadline.
            WcsProcessError: the worker cannot be started, or was killed from outside, for example when memory runs out.
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
                    raise WcsProcessError(f"the WCS worker was killed ({_manner(process.returncode)})") from error
                how = f"took longer than {DEADLINE_S:g} s" if took_too_long else f"crashed ({_manner(process.returncode)})"
                raise _ProcessDiedError(f"the WCS worker {how}") from error
            except BaseException:
                # The next request must not receive the answer to this one.
                self._end()
                raise

    def close(self) -> None:
        with self._lock:
            self._end()

    def _begin(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._end()
        try:
            self._process = _started()
        except OSError as error:
            raise WcsProcessError(_NO_START) from error
        return self._process

    def _ready(self) -> subprocess.Popen[bytes]:
        process = self._begin()
        if self._is_ready:
            return process
        try:
            with _killed_after(process, START_S):
                self._is_ready = process.stdout is not None and read_message(process.stdout, 1, len(READY)) == [READY]
        except (OSError, EOFError):
            self._is_ready = False
        if not self._is_ready:
            self._end()
            raise WcsProcessError(_NO_START)
        return process

    def _end(self) -> None:
        process, self._process, self._is_ready = self._process, None, False
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
    """Kill the process after some seconds; its pipes then end, and a thread that waits for them continues."""
    overdue = Timer(seconds, process.kill)
    overdue.start()
    try:
        yield
    finally:
        overdue.cancel()


def _was_killed(process: subprocess.Popen[bytes]) -> bool:
    """Return whether a process whose pipes have ended was killed from outside."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        return process.wait(_SETTLE_S) in _FROM_OUTSIDE
    return False


def _manner(returncode: int) -> str:
    return (signal.strsignal(-returncode) if returncode < 0 else None) or f"status {returncode}"


def _started() -> subprocess.Popen[bytes]:
    environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    # The worker imports the same modules as this process, from any working directory.
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
