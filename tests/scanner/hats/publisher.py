"""Publish catalogues one after the other while publishers are killed at random, and roll back in between.

As a program: `python -m tests.scanner.hats.publisher COLLECTION SEED N_KILLS CATALOGUE ...`; it prints the number of kills.
"""

import os
import random
import signal
import sys
import time

import astropy.coordinates  # noqa: F401 - imported before the forks
import cdshealpix  # noqa: F401
import mocpy  # noqa: F401

from scanner.hats.publish import publish
from scanner.hats.versions import roll_back

KEEP = 100


def forked(act):
    """Call a function in a child process, and return the process's id."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    try:
        act()
        os._exit(0)
    finally:
        os._exit(1)


def main(collection, seed, n_kills, catalogues):
    dice, kills = random.Random(seed), 0
    longest = 0.2
    for i, catalogue in enumerate(catalogues):
        for _ in range(n_kills):
            pid = forked(lambda: publish(catalogue, collection, keep=KEEP, compact=bool(i % 2)))  # noqa: B023 - called at once
            time.sleep(dice.uniform(0, longest))
            os.kill(pid, signal.SIGKILL)
            kills += os.WIFSIGNALED(os.waitpid(pid, 0)[1])
        start = time.monotonic()
        for act in (lambda: publish(catalogue, collection, keep=KEEP), lambda: i and roll_back(collection)):  # noqa: B023
            assert os.waitstatus_to_exitcode(os.waitpid(forked(act), 0)[1]) == 0
        longest = time.monotonic() - start
    publish(catalogues[-1], collection, keep=KEEP)
    sys.stdout.write(f"{kills}\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
