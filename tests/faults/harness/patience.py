"""How long tests wait for processes: longer on a busy machine. What is not done even then is a time-out, and no violation."""

import os
import re
import subprocess
import time

GENEROUS = 3.0
TEST_S = 1200
"""A test of faults that takes longer hangs; the default of all tests is shorter."""
_SAID = re.compile(r"^Timeout \(>|was not ready within")
"""By pytest-timeout, and by `tests.servers.wait_for`."""
_RAY_SAID = "The current node timed out during startup"
"""After 30 s, which cannot be changed."""


class TimedOut(Exception):
    """The harness waited for something longer than it allows; whether it would have come is unknown."""


def busyness():
    """How much longer everything takes than on an idle machine: processes that want to run for each core."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def scaled(seconds):
    """A wait of so many seconds on an idle machine, as it must be now."""
    return seconds * GENEROUS * busyness()


def wait_for(what, ready, seconds=100, process=None):
    """Poll until `ready`; gives what that said. `process` must not end before.

    Raises:
        TimedOut: it took longer than `scaled(seconds)`.
    """
    begun = time.monotonic()
    while not (said := ready()):
        assert process is None or process.poll() is None, f"it ended without {what}: {process.communicate()}"
        if time.monotonic() - begun > scaled(seconds):
            raise TimedOut(f"waited for {what}, which did not come within {time.monotonic() - begun:.0f} s")
        time.sleep(0.005)
    return said


def has_ray_timed_out(said):
    """Did a Ray not come up in time, by what a program says?"""
    return _RAY_SAID in said


def is_time_out(error):
    """Did the harness wait too long, or did the test fail?"""
    # Here: programs that tests start wait, too.
    import pytest

    if isinstance(error, pytest.fail.Exception):
        return _SAID.search(str(error)) is not None
    return has_ray_timed_out(str(error)) or isinstance(error, TimedOut | subprocess.TimeoutExpired)
