"""Scale the waiting times of tests with the load of the machine. A wait without result is a time-out, not a violation."""

import os
import re
import subprocess
import time

GENEROUS = 3.0
TEST_S = 1200
"""Time limit of a fault test in seconds; a test that takes longer hangs. The default of other tests is shorter."""
_SAID = re.compile(r"^Timeout \(>|was not ready within")
"""Messages of time-outs, from pytest-timeout and `tests.servers.wait_for`."""
_RAY_SAID = "The current node timed out during startup"
"""Ray's message after 30 s, a limit that cannot be changed."""


class TimedOut(Exception):
    """The harness waited longer than it allows; whether the condition would have come true is unknown."""


def busyness():
    """Return the estimated slowdown against an idle machine: the load average per core, at least 1."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def scaled(seconds):
    """Return the waiting time that corresponds now to `seconds` on an idle machine."""
    return seconds * GENEROUS * busyness()


def wait_for(what, ready, seconds=100, process=None):
    """Poll until `ready()` is true, and return its value. `process` must not end before.

    A condition that takes long to test is tested less often, so that it takes at most a fifth of a core from what it waits for.

    Raises:
        TimedOut: the wait took longer than `scaled(seconds)`.
    """
    begun = asked = time.monotonic()
    while not (said := ready()):
        took_s = time.monotonic() - asked
        assert process is None or process.poll() is None, f"it ended without {what}: {process.communicate()}"
        if time.monotonic() - begun > scaled(seconds):
            raise TimedOut(f"waited for {what}, which did not come within {time.monotonic() - begun:.0f} s")
        time.sleep(max(0.005, 4 * took_s))
        asked = time.monotonic()
    return said


def has_ray_timed_out(said):
    """Return whether a program's output shows that Ray did not start in time."""
    return _RAY_SAID in said


def is_time_out(error):
    """Return whether the error is a time-out of the harness, and not a failure of the test."""
    # Imported here, because programs that tests start use this module too.
    import pytest

    if isinstance(error, pytest.fail.Exception):
        return _SAID.search(str(error)) is not None
    return has_ray_timed_out(str(error)) or isinstance(error, TimedOut | subprocess.TimeoutExpired)
