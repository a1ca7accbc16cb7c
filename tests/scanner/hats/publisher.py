"""Seal nights and publish them, round by round, while writers are killed at random, and roll back in between.

As a program: `python -m tests.scanner.hats.publisher CATALOGUE COLLECTION SEED N_ROUNDS`; it prints the counts as JSON.
"""

import json
import os
import random
import signal
import sys
import time
import traceback
from collections import Counter
from functools import partial

import astropy.coordinates  # noqa: F401 - imported before the forks
import cdshealpix  # noqa: F401
import mocpy  # noqa: F401

from scanner.hats.pointer import read_pointer
from scanner.hats.publish import publish
from scanner.hats.versions import roll_back
from tests.scanner.hats.published import NIGHTS, PLACES, add_night, p_lens_of

N_KILLS = 2
"""Number of times that the writer of a round is killed before it may end."""


def night_of(number):
    """Return the night that a round scans, as its place in `NIGHTS`, and the number of its objects at each place."""
    return number % len(NIGHTS), 2 + number // len(NIGHTS)


def state_after(number):
    """Return the ids of each night once a round is over, from the scans alone: the newest scan of each night counts."""
    newest = dict(night_of(earlier) for earlier in range(number + 1))
    overlap = p_lens_of(9, 1, PLACES[:2])
    return {NIGHTS[i]: sorted({*p_lens_of(i, n), *overlap}) for i, n in newest.items()}


def seal_and_publish(catalogue, collection, number):
    """Scan the night of a round, seal it, show it and publish: as often as it takes, because all of these are safe twice."""
    i, n = night_of(number)
    add_night(catalogue, i, n=n)
    publish(catalogue, collection, compact=number % 3 == 2)


def forked(act):
    """Call a function in a child process, and return the process's id."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    try:
        act()
        os._exit(0)
    except BaseException:  # noqa: BLE001 - nothing may reach the loop of the parent
        traceback.print_exc()
    finally:
        os._exit(1)


def killed(act, after_s):
    """Call a function in a child process that is killed after a while; return whether it was before its end."""
    pid = forked(act)
    time.sleep(after_s)
    os.kill(pid, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


def main(catalogue, collection, seed, n_rounds):
    dice, counts = random.Random(seed), Counter()
    longest = {"writers": 0.3, "rollbacks": 0.05}

    def go_through(name, act):
        """Do a thing in children that are killed, then in one that may end."""
        for _ in range(N_KILLS):
            counts[f"{name}_killed"] += killed(act, dice.uniform(0, longest[name]))
        start = time.monotonic()
        assert os.waitstatus_to_exitcode(os.waitpid(forked(act), 0)[1]) == 0
        longest[name] = time.monotonic() - start
        counts[name] += 1
        time.sleep(0.02)

    for number in range(n_rounds):
        go_through("writers", partial(seal_and_publish, catalogue, collection, number))
        go_through("rollbacks", partial(roll_back, collection, dice.choice(read_pointer(collection).versions)))
    seal_and_publish(catalogue, collection, n_rounds - 1)
    sys.stdout.write(f"{json.dumps(counts)}\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
